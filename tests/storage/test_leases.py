"""A generation that somebody looks at stays whole, rows and all, until nobody does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from storage import durable, leases
from storage.generations import read_generations
from storage.reader import WorkspaceReader
from storage.store import WorkspaceStore

HOLD = """
import sys
from pathlib import Path
from storage.reader import WorkspaceReader
from storage.workspace import Workspace

with WorkspaceReader(Workspace.open(Path(sys.argv[1]))):
    print("reading", flush=True)
    sys.stdin.read()
"""


def readers(workspace):
    return {one.generation_id: one.readers for one in read_generations(workspace)}


def test_rows_of_an_undone_generation_stay_while_somebody_reads_it(two, publish, tmp_path):
    with WorkspaceReader(two) as reader:
        with WorkspaceStore(two) as store:
            store.rollback(1)
        with WorkspaceStore(two, 1) as store:
            publish(store, "tools", tmp_path)
        assert reader.generation.generation_id == 2
        ids = reader.index().ids.tolist()
        assert sorted(reader.items(ids)) == sorted(ids)
        assert [task.name for task in reader.tasks()] == ["birds", "cars"]
        assert sorted(readers(two)) == [1, 2, 3]
    with WorkspaceStore(two, 1):
        pass
    assert sorted(readers(two)) == [1, 3]
    assert [path.name for path in two.generations_dir.iterdir()] == ["00000003"]
    assert "00000002" not in {path.name for path in two.leases_dir.iterdir()}


def test_the_log_tells_who_is_reading_and_a_dead_reader_holds_nothing(two, publish, tmp_path):
    command = [sys.executable, "-c", HOLD, str(two.root)]
    with subprocess.Popen(
        command, cwd=Path(__file__).parents[2], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout.readline() == "reading\n"
        assert readers(two) == {1: (), 2: (child.pid,)}
        child.kill()
    assert readers(two) == {1: (), 2: ()}
    with WorkspaceStore(two, 1) as store:
        publish(store, "tools", tmp_path)
    assert [path.name for path in two.generations_dir.iterdir()] == ["00000003"]


def test_a_reader_that_comes_while_a_generation_is_removed_takes_the_newer_one(
    two, publish, tmp_path, monkeypatch
):
    take = leases.take

    def overtaken(path):
        monkeypatch.setattr(leases, "take", take)
        with WorkspaceStore(two) as store:
            store.rollback(1)
        with WorkspaceStore(two, 1) as store:
            publish(store, "tools", tmp_path)
        return take(path)

    monkeypatch.setattr(leases, "take", overtaken)
    with WorkspaceReader(two) as reader:
        assert reader.generation.generation_id == 3
        assert len(reader.items([1, 2, 3])) == 3


def test_a_claim_is_refused_while_there_is_a_lease_and_granted_afterwards(tmp_path):
    path = tmp_path / "leases" / "00000001"
    first, second = leases.take(path), leases.take(path)
    assert leases.holders(path) == [os.getpid()]
    for lease in (first, second):
        with pytest.raises(BlockingIOError):
            leases.claim(path)
        os.close(lease)
    os.close(leases.claim(path))
    assert leases.holders(path) == []
    assert leases.holders(tmp_path / "missing") == []


def test_where_no_file_can_be_made_a_reader_goes_without_and_a_writer_need_not_ask(tmp_path, monkeypatch):
    monkeypatch.setattr(durable, "open_or_create", lambda path: None)
    assert leases.take(tmp_path / "leases" / "00000001") is None
    assert leases.claim(tmp_path / "leases" / "00000001") is None
