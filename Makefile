# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PEERS := .venv-peers
PEERS_STAMP := $(PEERS)/.installed

.PHONY: demo test lint types contracts pytest docs faults bench bench-quick clean

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	touch $(STAMP)

demo: $(STAMP)
	$(BIN)/cdml demo

test: lint types contracts pytest

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

contracts: $(STAMP)
	$(BIN)/lint-imports

# Two processes of one thread each: with two threads each they would wait for each other.
pytest: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

# The user guide in site/, with the reference of commands made anew; nothing in it asks another machine for anything.
docs: $(STAMP)
	$(BIN)/python -m cli.reference > docs/.cli.md && mv docs/.cli.md docs/cli.md
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# Every call to the system that changes a disk is killed and failed, the power is cut after each, every file is mutated,
# several processes work at once and are killed, long sequences are drawn: an hour and a half.
faults: $(STAMP)
	$(BIN)/python -m tests.faults
	$(BIN)/python -m tests.faults.mutations
	$(BIN)/python -m tests.faults.traffic --seconds 60
	$(BIN)/python -m tests.faults.traffic --seconds 600 --kill
	CDML_TEST_EXAMPLES=200 $(BIN)/python -m pytest tests/faults/test_state_machine.py

# What users would otherwise take, in an environment of its own.
$(PEERS_STAMP): benchmarks/peers/requirements.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --requirement benchmarks/peers/requirements.txt
	touch $(PEERS_STAMP)

# Everything side by side with its peers, on an otherwise idle machine: hours. Results go into docs/benchmarks.md.
bench: $(STAMP) $(PEERS_STAMP)
	$(BIN)/python -m benchmarks.side_by_side --profile
	$(BIN)/python -m benchmarks.side_by_side --render

# The same with smaller sizes and one round, in less than ten minutes; nothing is recorded.
bench-quick: $(STAMP) $(PEERS_STAMP)
	$(BIN)/python -m benchmarks.side_by_side --quick

clean:
	rm -rf $(VENV) $(PEERS) site cdml-demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
