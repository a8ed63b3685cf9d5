from __future__ import annotations

import errno
import hashlib
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from continual_dml.errors import WorkspaceError
from storage import durable


@given(st.lists(st.binary(max_size=50), max_size=5))
def test_a_file_is_written_in_pieces_with_its_size_and_hash(tmp_path_factory, pieces):
    path = tmp_path_factory.mktemp("files") / "file"
    entry = durable.write_file(path, pieces)
    content = b"".join(pieces)
    assert path.read_bytes() == content
    assert (entry.size, entry.sha256) == (len(content), hashlib.sha256(content).hexdigest())


def test_an_existing_file_is_never_overwritten_nor_removed(tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(WorkspaceError, match="File exists"):
        durable.write_file(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"old"


def test_a_symbolic_link_is_not_written_through(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(WorkspaceError):
        durable.write_file(tmp_path / "link", b"content")
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize(
    ("number", "advice"), [(errno.ENOSPC, "free some space"), (errno.EIO, "check the disk")]
)
def test_a_failing_disk_is_one_line_with_a_way_out_and_leaves_nothing(tmp_path, monkeypatch, number, advice):
    def fail(descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(WorkspaceError, match=advice) as caught:
        durable.write_file(tmp_path / "file", b"content")
    assert caught.value.exit_code == 1
    assert list(tmp_path.iterdir()) == []


def test_a_failed_flush_is_not_tried_again(tmp_path, monkeypatch):
    calls = []

    def fail(descriptor):
        calls.append(descriptor)
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(WorkspaceError):
        durable.fsync_directory(tmp_path)
    assert len(calls) == 1


def test_a_link_shares_the_content_and_a_copy_stands_in_where_links_are_impossible(tmp_path, monkeypatch):
    (tmp_path / "old").write_bytes(b"content")
    assert durable.link_or_copy(tmp_path / "old", tmp_path / "linked")
    assert (tmp_path / "linked").stat().st_ino == (tmp_path / "old").stat().st_ino

    def refuse(*arguments, **options):
        raise OSError(errno.EXDEV, "another device")

    monkeypatch.setattr(os, "link", refuse)
    assert not durable.link_or_copy(tmp_path / "old", tmp_path / "copied")
    assert (tmp_path / "copied").read_bytes() == b"content"
    assert (tmp_path / "copied").stat().st_ino != (tmp_path / "old").stat().st_ino


def test_text_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "settings"
    durable.replace_text_atomically(path, "one")
    durable.replace_text_atomically(path, "two", 0o600)
    assert path.read_text() == "two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_removing_what_is_not_there_is_fine(tmp_path):
    durable.remove_tree(tmp_path / "gone")
    durable.remove_file(tmp_path / "gone")
    assert list(tmp_path.iterdir()) == []
