from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from continual_dml.errors import WorkspaceLocked
from storage import durable
from storage.reader import WorkspaceReader
from storage.store import WorkspaceStore
from storage.summary import read_report, read_status, read_tasks

TAKE_THE_LOCK = """
import os, sys
from pathlib import Path
from continual_dml.errors import WorkspaceLocked
from storage.writer_lock import WriterLock

try:
    WriterLock(Path(sys.argv[1])).__enter__()
except WorkspaceLocked:
    sys.exit(6)
os._exit(3)
"""


def _take_the_lock_and_die(workspace):
    command = [sys.executable, "-c", TAKE_THE_LOCK, str(workspace.lock_file)]
    return subprocess.run(command, cwd=Path(__file__).parents[2], check=False).returncode


def test_a_second_writer_is_refused_and_told_who_is_at_work(workspace):
    with WorkspaceStore(workspace):
        second = WorkspaceStore(workspace)
        with pytest.raises(WorkspaceLocked, match=rf"process {os.getpid()}\)") as caught, second:
            pass
        assert caught.value.exit_code == 6
    with WorkspaceStore(workspace) as store:
        assert store.head() is None


def test_a_writer_in_another_process_is_refused_and_the_lock_of_a_dead_one_is_free(workspace):
    with WorkspaceStore(workspace):
        assert _take_the_lock_and_die(workspace) == 6
    assert _take_the_lock_and_die(workspace) == 3
    with WorkspaceStore(workspace) as store:
        assert store.head() is None


@pytest.mark.parametrize("leased", [True, False], ids=["with a lease", "where no lease can be made"])
def test_readers_go_on_while_a_writer_builds_and_stay_on_their_generation(
    workspace, publish, tmp_path, monkeypatch, leased
):
    if not leased:
        monkeypatch.setattr(durable, "open_or_create", lambda path: None)
    with WorkspaceStore(workspace) as store:
        publish(store, "first", tmp_path)
        with WorkspaceReader(workspace) as reader:
            publish(store, "second", tmp_path)
            assert workspace.generation_dir(1).exists() == leased, "without, open files are read on"
            assert reader.generation.generation_id == 1
            assert reader.index().ids.tolist() == [1, 2, 3]
            assert reader.artefacts.read_json("report.json")["generation"] == 1
            assert [task.name for task in reader.tasks()] == ["first"]
            assert sorted(reader.items([1, 5])) == [1]
        with WorkspaceReader(workspace) as reader:
            assert reader.generation == store.head()
            assert len(reader.index()) == 6


def test_a_reader_that_loses_the_race_takes_the_newer_generation(workspace, publish, tmp_path, monkeypatch):
    from storage.artefacts import PublishedArtefacts

    monkeypatch.setattr(durable, "open_or_create", lambda path: None)  # with a lease there is no such race
    with WorkspaceStore(workspace) as store:
        publish(store, "first", tmp_path)
        pin = PublishedArtefacts.pin

        def overtaken(artefacts):
            monkeypatch.setattr(PublishedArtefacts, "pin", pin)
            publish(store, "second", tmp_path)
            pin(artefacts)

        monkeypatch.setattr(PublishedArtefacts, "pin", overtaken)
        with WorkspaceReader(workspace) as reader:
            assert reader.generation.generation_id == 2


def test_a_summary_that_loses_the_race_takes_the_newer_generation(workspace, publish, tmp_path, monkeypatch):
    from storage import summary

    with WorkspaceStore(workspace) as store:
        publish(store, "first", tmp_path)
        read = summary.read_manifest

        def overtaken(directory, sha256):
            monkeypatch.setattr(summary, "read_manifest", read)
            publish(store, "second", tmp_path)
            return read(directory, sha256)

        monkeypatch.setattr(summary, "read_manifest", overtaken)
        assert read_report(workspace)["generation"] == 2


def test_a_workspace_that_nothing_can_be_written_to_is_still_read(workspace, publish, tmp_path):
    with WorkspaceStore(workspace) as store:
        publish(store, "first", tmp_path)
    folders = [workspace.root, workspace.generations_dir, workspace.generation_dir(1)]
    for path in workspace.root.glob("catalog.db-*"):
        path.unlink()
    for folder in folders:
        folder.chmod(0o555)
    try:
        with WorkspaceReader(workspace) as reader:
            assert len(reader.index()) == 3
        assert read_status(workspace).gallery.indexed == 3
        assert len(read_tasks(workspace)) == 1
    finally:
        for folder in folders:
            folder.chmod(0o755)


def test_an_sqlite_file_is_opened_as_immutable_where_no_log_can_be_made(workspace, monkeypatch):
    """The same without relying on permissions, which do not bind a superuser."""
    import sqlite3

    from storage.catalog import sqlite_files

    checked = sqlite_files._checked
    tried = []

    def refuse_logs(path, options):
        tried.append(options)
        if "immutable" not in options:
            raise sqlite3.OperationalError("attempt to write a readonly database")
        return checked(path, options)

    monkeypatch.setattr(sqlite_files, "_checked", refuse_logs)
    for log in workspace.root.glob("catalog.db-*"):
        log.unlink()
    assert read_status(workspace).generation is None
    assert tried == ["mode=ro", "mode=ro&immutable=1"]
    (workspace.root / "catalog.db-wal").write_bytes(b"content that must not be skipped")
    with pytest.raises(sqlite3.OperationalError):
        sqlite_files.connect_reading(workspace.root / "catalog.db")
