"""Everything a workspace keeps is checked; each kind of damage is named, and nothing is changed."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from continual_dml.errors import CatalogError
from continual_dml.ports import SilentListener
from storage.verification import verify


def problems(workspace, *, deep=False):
    return verify(workspace, deep=deep, listener=SilentListener()).problems


def flip(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def change(workspace, statement):
    """Change a row behind cdml's back; the standard library's SQLite does not look at foreign keys."""
    with closing(sqlite3.connect(workspace.root / "catalog.db")) as connection:
        connection.execute(statement)
        connection.commit()


@pytest.mark.parametrize("deep", [False, True])
def test_a_whole_workspace_has_no_problem_and_is_left_as_it_is(two, deep):
    before = {path: path.stat().st_mtime_ns for path in two.root.rglob("*") if path.is_file()}
    found = verify(two, deep=deep, listener=SilentListener())
    assert (found.problems, found.generations, found.files, found.query_copies) == ([], 2, 11, 2)
    after = {path: path.stat().st_mtime_ns for path in two.root.rglob("*") if path.is_file()}
    assert {path: time for path, time in after.items() if "catalog.db-" not in path.name} == {
        path: time for path, time in before.items() if "catalog.db-" not in path.name
    }


def test_an_empty_workspace_is_whole(workspace):
    assert problems(workspace, deep=True) == []


def test_every_damaged_file_of_every_generation_is_named(two):
    flip(two.generation_dir(1) / "report.json")
    flip(two.generation_dir(2) / "model.safetensors")
    (two.generation_dir(2) / "report.json").write_bytes(b"")
    found = "\n".join(problems(two))
    assert "00000001/report.json differs from what was published" in found
    assert "00000002/model.safetensors differs from what was published" in found
    assert "00000002/report.json has 0 bytes instead of" in found
    assert len(problems(two)) == 3


def test_a_file_or_a_manifest_that_is_gone_is_a_problem(two):
    (two.generation_dir(1) / "report.json").unlink()
    (two.generation_dir(2) / "MANIFEST.json").unlink()
    assert [line.endswith("is missing or not whole") for line in problems(two)] == [True, True]


def test_a_changed_manifest_is_a_problem(two):
    flip(two.generation_dir(2) / "MANIFEST.json")
    (line,) = problems(two)
    assert "MANIFEST.json differs" in line


def test_rows_that_do_not_agree_with_the_index_are_a_problem(two):
    change(two, "UPDATE item SET role = 'query' WHERE item_id = 1")
    first, second = problems(two)[:2]
    assert "the index holds 3 items, the catalogue 2" in first
    assert "the index holds 6 items, the catalogue 5" in second


def test_a_query_copy_that_is_gone_or_changed_is_a_problem(two):
    first, second = sorted(path for path in two.queries_dir.rglob("*") if path.is_file())
    flip(first)
    assert problems(two) == []
    (line,) = problems(two, deep=True)
    assert str(first) in line
    second.unlink()
    (line,) = problems(two)
    assert line == f"the query image {second} is missing"


def test_damaged_initial_weights_are_found_by_a_deep_check(two):
    flip(two.initial_weights_file)
    assert problems(two) == []
    (line,) = problems(two, deep=True)
    assert "initial" in line


def test_a_row_that_refers_to_nothing_is_found_by_a_deep_check(two):
    change(two, "UPDATE quarantine SET task_id = 99 WHERE task_id = 1")
    line, *_ = problems(two, deep=True)
    assert "table quarantine refers to a row of task that is not there" in line


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE item SET path = '/elsewhere' WHERE item_id = 2",
        "UPDATE category SET name = 'bards' WHERE name = 'birds'",
        "UPDATE measurement SET queries = queries + 1",
        "DELETE FROM quarantine WHERE task_id = 1",
        "INSERT INTO removal VALUES (2, 5, 0)",
    ],
)
def test_a_row_that_was_changed_or_lost_is_found(two, statement):
    change(two, statement)
    assert any("tell different things" in line or "catalogue" in line for line in problems(two))


def test_without_a_catalogue_there_is_nothing_to_check_against(two):
    (two.root / "catalog.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(CatalogError):
        problems(two)
