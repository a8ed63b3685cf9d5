"""The Python guide and its examples run as they stand."""

import re
import runpy
from pathlib import Path

import pytest

import cdml

DOCS = Path(cdml.__file__).parent.parent / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run(example: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Run an example as a user would, in this process, and return what it prints."""
    capsys.readouterr()
    runpy.run_path(str(DOCS / "examples" / example))["main"](folder)
    return capsys.readouterr().out


def test_the_blocks_of_the_guide_run_one_after_another(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = BLOCK.findall((DOCS / "python.md").read_text())
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "docs/python.md", "exec"), names)
    printed = capsys.readouterr().out
    assert len(blocks) > 8
    assert "1 True" in printed  # generation 1 is live
    assert "['arrows', 'latin'] 3" in printed
    assert "unknown loss 'tripled': did you mean triplet or soft-triple?" in printed
    assert "are in the catalogue already" in printed
    assert "12 images deleted, generation 5" in printed
    assert re.search(r"^\d\.\d\d \d\.\d\d -?\d\.\d\d$", printed, re.MULTILINE)  # recalls and forgetting
    assert "None" not in printed.splitlines()  # every letter is found to be something


def test_every_example_is_named_in_the_guide_and_the_other_way_round():
    named = set(re.findall(r"\(examples/(\w+\.py)\)", (DOCS / "python.md").read_text()))
    assert named == {path.name for path in (DOCS / "examples").glob("*.py")}


def test_quickstart(tmp_path, capsys):
    printed = run("quickstart.py", tmp_path, capsys)
    assert "to ask with; generation 2 is live" in printed
    assert "a new picture of latin-capital-g is most like" in printed
    recalls = re.findall(r"^after \w+: +(.*)$", printed, re.MULTILINE)
    assert [len(row.split()) for row in recalls] == [1, 2]
    assert float(re.search(r"on average (\d\.\d\d), forgotten -?\d\.\d\d", printed)[1]) > 0.3  # chance: 0.06


def test_query_session(tmp_path, capsys):
    printed = run("query_session.py", tmp_path, capsys).splitlines()
    assert printed[0] == "generation 1: 0 of 8 arrows are most like an arrow"
    assert int(re.match(r"generation 2: (\d) of 8 arrows", printed[1])[1]) >= 3
    assert all(name.startswith("latin-") for name in re.findall(r"'([^']+)'", printed[2]))


def test_plain_pytorch(tmp_path, capsys):
    printed = run("plain_pytorch.py", tmp_path, capsys)
    found = dict(re.findall(r"^([a-z ]+): Recall@1 (\d\.\d\d)", printed, re.MULTILINE))
    assert set(found) == {"trained projection", "head from statistics"}
    assert min(map(float, found.values())) > 0.3  # chance: 0.04


def test_avalanche_users(tmp_path, capsys):
    printed = run("avalanche_users.py", tmp_path, capsys)
    assert "Recall@1/eval_phase/test_stream/Exp001" in printed  # Avalanche's own logger
    assert re.search(r"^Recall@1 after experience 1: +\d\.\d\d  \d\.\d\d$", printed, re.MULTILINE)
