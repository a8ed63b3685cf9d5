"""A few seconds of ``tests.faults.traffic``, and proof that its oracle sees."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from storage.store import WorkspaceStore
from storage.workspace import Workspace
from tests.faults.traffic import Model, rendered, run
from tests.storage.tiny_tasks import SMALL, publish_task


@pytest.mark.parametrize("kill", [False, True], ids=["left alone", "killed at random"])
def test_no_query_fails_and_nothing_acknowledged_is_lost_while_one_writes_and_three_read(tmp_path, kill):
    report = run(tmp_path, 6, kill=kill)
    assert report.failed == []
    assert report.violations == []
    assert report.operations["publish"] > 0
    assert all(report.milliseconds.values())
    assert (report.writers_killed > 0) == kill
    line = {**report.as_line(), "environment": {"python": "3"}}
    assert "Failed queries: **0**. Violations: **0**" in rendered(line)


@pytest.fixture
def known(tmp_path):
    """A workspace of two tasks, and a model that has heard of both."""
    workspace = Workspace.create(tmp_path / "workspace", SMALL)
    with WorkspaceStore(workspace) as store:
        publish_task(store, "first", tmp_path)
        publish_task(store, "second", tmp_path)
    model = Model(1, ("first",))
    model.hear({"begin": "publish", "task": "second"})
    assert model.hear({"done": "publish", "generation": 2}) == "publish"
    return workspace, model


def test_what_was_acknowledged_is_expected_and_what_was_under_way_allowed(known, tmp_path):
    workspace, model = known
    assert model.compare(workspace.root) == []
    model.hear({"begin": "publish", "task": "third"})
    assert model.compare(workspace.root) == [], "it did not happen"
    model.hear({"begin": "publish", "task": "third"})
    with WorkspaceStore(workspace) as store:
        publish_task(store, "third", tmp_path)
    assert model.compare(workspace.root) == [], "it did"
    with WorkspaceStore(workspace) as store:
        publish_task(store, "fourth", tmp_path)
    (violation,) = model.compare(workspace.root)
    assert "not ('first', 'second', 'third')" in violation or "of 3" in violation


def test_what_was_under_way_may_come_to_light_until_the_next_writer_has_looked(known, tmp_path):
    workspace, model = known
    model.hear({"begin": "publish", "task": "third"})
    assert model.compare(workspace.root) == []
    with WorkspaceStore(workspace) as store:
        publish_task(store, "third", tmp_path)
    assert model.compare(workspace.root) == []
    model.hear({"begin": "publish", "task": "fourth"})
    assert model.compare(workspace.root) == []
    with WorkspaceStore(workspace) as store:
        publish_task(store, "fourth", tmp_path)
    model.hear({"live": 4})
    model.hear({"begin": "publish", "task": "fifth"})
    assert model.compare(workspace.root) == []
    model.hear({"live": 4})
    with WorkspaceStore(workspace) as store:
        publish_task(store, "fifth", tmp_path)
    assert len(model.compare(workspace.root)) == 1, "the next writer had seen that it had not happened"


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("DELETE FROM item WHERE item_id = 1", "cannot be read"),
        ("UPDATE item SET content_hash = printf('%064d', 0) WHERE item_id = 1", "missing"),
        ("UPDATE item SET category_id = 1 WHERE category_id = 2", "missing"),
    ],
)
def test_an_item_that_is_gone_changed_or_in_another_category_is_seen(known, statement, words):
    workspace, model = known
    with closing(sqlite3.connect(workspace.root / "catalog.db")) as connection:
        connection.execute(statement)
        connection.commit()
    assert words in " ".join(model.compare(workspace.root))
