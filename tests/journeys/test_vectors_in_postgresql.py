"""A workspace that moves to PostgreSQL with its vectors, is harmed and repaired there, and moves back."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import create_engine, text

from tests.journeys.test_going_back import TINY_TASK
from tests.postgres_server import running_server


@pytest.fixture
def database_url(tmp_path):
    with running_server(tmp_path) as address:
        yield address


def execute(database_url, statement):
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def test_answers_are_the_same_wherever_the_vectors_lie(cdml, site, arrows, tmp_path, database_url):
    here, there, back = ("-w", site.workspace), ("-w", tmp_path / "there"), ("-w", tmp_path / "back")
    image = next(iter(sorted(arrows.rglob("*.png"))))

    def answer(workspace, *more):
        run = cdml("query", image, "-k", "6", *workspace, *more, "--json")
        assert run.code == 0, run.err
        (asked,) = json.loads(run.out)["queries"]
        return [(one["item_id"], round(one["score"], 5)) for one in asked["neighbours"]]

    assert cdml("backup", tmp_path / "one.tar", *here).code == 0
    assert cdml("restore", tmp_path / "one.tar", *there, "--database-url", database_url).code == 0
    settings = tmp_path / "there" / "cdml.toml"
    settings.write_text(settings.read_text().replace('index = "flat"', 'index = "pgvector"'))
    for workspace in (here, there):
        assert cdml("ingest-task", arrows, *workspace, *TINY_TASK).code == 0
    assert json.loads(cdml("status", *there, "--json").out)["index"]["kind"] == "pgvector"
    assert answer(there) == answer(here)
    assert cdml("statistics", *there, "--json").out == cdml("statistics", *here, "--json").out
    some = ("--where", "task = 'latin' and id <= 3")
    assert answer(there, *some) == answer(here, *some)

    execute(database_url, "UPDATE gallery_vectors_3 SET item_id = 1000 WHERE item_id = 1")
    assert cdml("verify", "--deep", *there).code == 7
    done = cdml("verify", "--deep", "--repair", *there)
    assert done.code == 0, done.err
    assert "the index of generation 3 built again from its vectors; generation 4 is live" in done.err
    assert answer(there) == answer(here)
    for workspace in (here, there):
        assert cdml("delete", "1", *workspace, "--yes").code == 0
    assert answer(there) == answer(here)

    assert cdml("backup", tmp_path / "two.tar", *there).code == 0
    restored = cdml("restore", tmp_path / "two.tar", *back)
    assert "built again as 'flat'" in restored.err
    assert restored.out.endswith("generation 6 is live\n")
    assert cdml("verify", "--deep", *back).code == 0
    assert answer(back) == answer(here)


def test_init_says_what_the_index_in_postgresql_needs(cdml, tmp_path):
    folder = tmp_path / "new"
    run = cdml("init", "--index", "pgvector", "--backbone", "conv4", "--weights", "none", "-w", folder)
    assert run.code == 2
    (line,) = run.error_lines
    assert "--database-url postgresql+psycopg://" in line
    assert not folder.exists()
