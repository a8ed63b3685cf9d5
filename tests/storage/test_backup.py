"""One archive holds all of a workspace; a damaged one becomes nothing."""

from __future__ import annotations

import io
import os
import tarfile

import numpy as np
import pytest

from continual_dml.errors import CatalogError, CdmlError, CorruptIndex, SchemaTooNew, WorkspaceError
from continual_dml.ports import SilentListener
from storage import backup, failpoints
from storage.backup import back_up, restore
from storage.generations import read_generations
from storage.reader import WorkspaceReader
from storage.store import WorkspaceStore
from storage.summary import read_report, read_status
from storage.verification import verify

QUIET = SilentListener()


@pytest.fixture
def two(two):
    """The workspace of two generations, the first of which has a tag."""
    with WorkspaceStore(two) as store:
        store.tag("good", 1)
    return two


@pytest.fixture
def archive(two, tmp_path):
    back_up(two, tmp_path / "backup.tar", QUIET)
    return tmp_path / "backup.tar"


def names(archive):
    with tarfile.open(archive) as stream:
        return stream.getnames()


def test_a_restored_workspace_answers_as_the_one_that_was_backed_up(two, archive, tmp_path, publish):
    again = restore(archive, tmp_path / "again", None, QUIET)
    assert verify(again, deep=True, listener=QUIET).problems == []
    assert read_generations(again) == read_generations(two)
    assert read_report(again) == read_report(two)
    one, other = read_status(two), read_status(again)
    assert (one.generation, one.gallery, one.queries) == (other.generation, other.gallery, other.queries)
    assert again.settings == two.settings
    assert again.keep_generations == 2
    assert again.initial_weights_file.read_bytes() == two.initial_weights_file.read_bytes()
    with WorkspaceReader(two) as old, WorkspaceReader(again) as new:
        assert np.array_equal(old.index().ids, new.index().ids)
        assert old.items([1, 2, 3, 4, 5]) == new.items([1, 2, 3, 4, 5])
    with WorkspaceStore(again) as store:
        assert publish(store, "tools", tmp_path / "tools").generation_id == 3
        assert store.rollback(store.resolve("good")).generation_id == 1


def test_the_same_workspace_gives_the_same_bytes(two, archive, tmp_path):
    back_up(two, tmp_path / "other.tar", QUIET)
    assert (tmp_path / "other.tar").read_bytes() == archive.read_bytes()


def test_a_workspace_without_a_task_can_be_backed_up_too(workspace, tmp_path):
    back_up(workspace, tmp_path / "b.tar", QUIET)
    assert read_status(restore(tmp_path / "b.tar", tmp_path / "again", None, QUIET)).generation is None


def test_what_an_unfinished_ingest_has_written_is_not_in_the_backup(two, tmp_path, publish, monkeypatch):
    def stop(step):
        if step == "rows-inserted":
            back_up(two, tmp_path / "meanwhile.tar", QUIET)

    monkeypatch.setattr(failpoints, "on_step", stop)
    with WorkspaceStore(two) as store:
        publish(store, "tools", tmp_path / "tools")
    again = restore(tmp_path / "meanwhile.tar", tmp_path / "again", None, QUIET)
    assert [one.task for one in read_generations(again)] == ["birds", "cars"]
    assert verify(again, deep=True, listener=QUIET).problems == []
    with WorkspaceStore(again) as store:
        assert sorted(store.category_ids()) == ["birds", "cars"]
        assert store.begin("tools").generation_id == 4, "a number that was given out is never given again"


def test_a_generation_that_a_writer_removes_meanwhile_is_followed_by_its_successor(
    two, tmp_path, publish, monkeypatch
):
    with WorkspaceStore(two) as store:
        store.untag("good")
    opened, published = backup.PublishedArtefacts.open, []

    def late(*arguments):
        if not published:
            published.append(True)
            with WorkspaceStore(two, kept_generations=1) as store:
                publish(store, "tools", tmp_path / "tools")
        return opened(*arguments)

    monkeypatch.setattr(backup.PublishedArtefacts, "open", late)
    back_up(two, tmp_path / "b.tar", QUIET)
    monkeypatch.undo()
    again = restore(tmp_path / "b.tar", tmp_path / "again", None, QUIET)
    assert [one.task for one in read_generations(again) if one.live] == ["tools"]


def test_a_backup_overwrites_nothing(two, archive):
    with pytest.raises(WorkspaceError, match="exists already"):
        back_up(two, archive, QUIET)


def test_a_damaged_workspace_is_not_backed_up(two, tmp_path):
    (two.generation_dir(2) / "model.safetensors").write_bytes(b"?")
    with pytest.raises(CorruptIndex, match=r"model\.safetensors"):
        back_up(two, tmp_path / "b.tar", QUIET)
    assert [path.name for path in tmp_path.iterdir() if "b.tar" in path.name] == []


@pytest.mark.parametrize("made", ["file", "full", "workspace"])
def test_a_restore_overwrites_nothing(archive, two, tmp_path, made):
    target = tmp_path / made
    if made == "file":
        target.write_text("mine")
    elif made == "full":
        target.mkdir()
        (target / "gen").mkdir()  # what a workspace that lost its cdml.toml may hold
    else:
        target = two.root
    with pytest.raises(WorkspaceError, match="no empty folder"):
        restore(archive, target, None, QUIET)


def test_an_empty_folder_is_taken(archive, tmp_path):
    (tmp_path / "empty").mkdir()
    assert read_status(restore(archive, tmp_path / "empty", None, QUIET)).tasks == 2


@pytest.mark.parametrize("seed", range(16))
def test_a_changed_or_shortened_archive_becomes_nothing_or_the_same(archive, two, tmp_path, seed):
    random = np.random.default_rng(seed)
    content = bytearray(archive.read_bytes())
    if seed % 2:
        content[random.integers(len(content))] ^= int(random.integers(1, 256))
    else:
        del content[int(random.integers(len(content) - 2 * 512)) :]
    archive.write_bytes(content)
    try:
        again = restore(archive, tmp_path / "again", None, QUIET)
    except CdmlError:
        assert not (tmp_path / "again").exists()
        assert not (tmp_path / ".again.restoring").exists()
    else:  # the change was in padding or in a header's date or owner
        assert verify(again, deep=True, listener=QUIET).problems == []
        assert read_generations(again) == read_generations(two)


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "gen/00000001/../../evil", "LOCK", "catalog.db"])
def test_a_member_that_no_backup_has_is_refused(archive, tmp_path, name):
    with tarfile.open(archive, "a") as stream:
        member = tarfile.TarInfo(name)
        member.size = 4
        stream.addfile(member, io.BytesIO(b"evil"))
    with pytest.raises(CorruptIndex, match="is no backup of cdml: it holds"):
        restore(archive, tmp_path / "again", None, QUIET)
    assert not list(tmp_path.rglob("*evil*"))


def test_a_link_in_an_archive_is_refused(archive, tmp_path):
    with tarfile.open(archive, "a") as stream:
        member = tarfile.TarInfo("gen/00000009/report.json")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        stream.addfile(member)
    with pytest.raises(CorruptIndex, match="it holds 'gen/00000009"):
        restore(archive, tmp_path / "again", None, QUIET)


def test_a_backup_of_a_newer_cdml_is_refused(two, tmp_path, monkeypatch):
    monkeypatch.setattr(backup, "REVISION", "9999")
    back_up(two, tmp_path / "b.tar", QUIET)
    monkeypatch.undo()
    with pytest.raises(SchemaTooNew, match="newer cdml"):
        restore(tmp_path / "b.tar", tmp_path / "again", None, QUIET)


@pytest.mark.parametrize(("schema", "readable"), [("0001", False), ("0002", True)])
def test_a_backup_of_an_older_cdml_is_restored_where_its_rows_are_rows_of_ours(
    two, tmp_path, monkeypatch, schema, readable
):
    monkeypatch.setattr(backup, "REVISION", schema)
    back_up(two, tmp_path / "b.tar", QUIET)
    monkeypatch.undo()
    if readable:
        again = restore(tmp_path / "b.tar", tmp_path / "again", None, QUIET)
        assert verify(again, deep=True, listener=QUIET).problems == []
    else:
        with pytest.raises(CatalogError, match="older cdml"):
            restore(tmp_path / "b.tar", tmp_path / "again", None, QUIET)


def test_something_else_is_no_backup(tmp_path):
    (tmp_path / "x.tar").write_bytes(os.urandom(5000))
    for name in ("x.tar", "missing.tar"):
        with pytest.raises(CdmlError, match="no backup of cdml"):
            restore(tmp_path / name, tmp_path / "again", None, QUIET)


def test_the_archive_holds_what_it_says(archive):
    found = names(archive)
    assert found[:3] == ["cdml.toml", "catalog.jsonl", "initial-weights.safetensors"]
    assert found[-1] == "BACKUP.json"
    assert len(found) == 3 + 2 * 5 + 1 + 2 + 2 + 1
