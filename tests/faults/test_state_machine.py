"""Any sequence of operations, crashes and damage: catalogue, index and a plain model agree throughout.

``CDML_TEST_EXAMPLES`` says how many sequences are tried on each database; ``make faults`` asks for 200.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    run_state_machine_as_test,
)
from sqlalchemy import create_engine, make_url, text

from tests.faults.modelled_workspace import ModelledWorkspace
from tests.postgres_server import running_server

EXAMPLES = int(os.environ.get("CDML_TEST_EXAMPLES", "6"))


def check(database_url, index="flat"):
    run_state_machine_as_test(
        lambda: ModelledWorkspace(database_url(), index),
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=12,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_any_sequence_on_sqlite():
    check(lambda: None)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_server(tmp_path_factory.mktemp("postgres")) as address:
        yield address


@pytest.mark.parametrize("index", ["flat", "pgvector"])
def test_any_sequence_on_postgresql(server, index):
    names = []

    def fresh():
        names.append(f"machine_{index}_{len(names)}")
        engine = create_engine(server, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for old in names[-2:-1]:
                connection.execute(text(f"DROP DATABASE IF EXISTS {old} WITH (FORCE)"))
            connection.execute(text(f"CREATE DATABASE {names[-1]}"))
        engine.dispose()
        return make_url(server).set(database=names[-1]).render_as_string(hide_password=False)

    check(fresh, index)
