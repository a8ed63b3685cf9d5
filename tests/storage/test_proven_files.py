"""A large file is hashed once; whoever changes it makes it be hashed again."""

from __future__ import annotations

import os

import pytest

from continual_dml.errors import CorruptIndex
from continual_dml.ports import SilentListener
from storage import proven_files, verified_files
from storage.proven_files import is_proven, remember, remember_all
from storage.reader import WorkspaceReader
from storage.store import WorkspaceStore
from storage.verification import verify
from storage.verified_files import sha256_of


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache that also remembers files of this very second."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(proven_files, "SETTLED_SECONDS", -1.0)
    return tmp_path / "cache" / "cdml" / "proven-files.json"


@pytest.fixture
def opened(tmp_path):
    """A file and a descriptor of it."""
    path = tmp_path / "file"
    path.write_bytes(b"content")
    descriptor = os.open(path, os.O_RDONLY)
    yield path, descriptor
    os.close(descriptor)


KNOWN = sha256_of(b"content")


def test_a_file_is_proven_until_anything_about_it_changes(opened):
    path, descriptor = opened
    assert not is_proven(descriptor, KNOWN)
    remember(descriptor, KNOWN)
    assert is_proven(descriptor, KNOWN)
    assert not is_proven(descriptor, sha256_of(b"other"))
    found = path.stat()
    path.write_bytes(b"CONTENT")
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))  # whoever hides the change cannot hide this
    assert not is_proven(descriptor, KNOWN)


def test_a_copy_is_another_file(opened, tmp_path):
    _, descriptor = opened
    remember(descriptor, KNOWN)
    (tmp_path / "copy").write_bytes(b"content")
    other = os.open(tmp_path / "copy", os.O_RDONLY)
    assert not is_proven(other, KNOWN)
    os.close(other)


def test_a_file_that_may_still_change_within_one_tick_is_not_remembered(opened, monkeypatch):
    monkeypatch.setattr(proven_files, "SETTLED_SECONDS", 60.0)
    remember(opened[1], KNOWN)
    assert not is_proven(opened[1], KNOWN)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"a": 1}', "\x00"])
def test_a_damaged_cache_is_an_empty_one(opened, cache, content):
    cache.parent.mkdir(parents=True)
    cache.write_text(content)
    assert not is_proven(opened[1], KNOWN)
    remember(opened[1], KNOWN)
    assert is_proven(opened[1], KNOWN)


def test_only_the_newest_are_remembered(opened, cache):
    remember_all((opened[1], f"{number:064x}") for number in range(1050))
    remember(opened[1], f"{1050:064x}")
    known = [is_proven(opened[1], f"{number:064x}") for number in (0, 26, 27, 1049, 1050)]
    assert known == [False, False, True, True, True]
    assert cache.stat().st_size < 1024 * 200


def test_where_no_cache_can_be_kept_files_are_hashed_each_time(opened, tmp_path, monkeypatch):
    (tmp_path / "taken").write_text("a file where a folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "taken"))
    remember(opened[1], KNOWN)
    assert not is_proven(opened[1], KNOWN)


def test_a_query_hashes_the_index_once(two, monkeypatch):
    found = []
    monkeypatch.setattr(
        verified_files, "is_proven", lambda *file: found.append(is_proven(*file)) or found[-1]
    )
    for _ in range(2):
        with WorkspaceReader(two) as reader:
            assert len(reader.index()) == 6
    assert found[-1], "the second reader found it proven"


def test_a_proven_index_that_is_changed_afterwards_is_refused(two):
    with WorkspaceReader(two) as reader:
        reader.index()
        path = reader.artefacts.path("index.safetensors")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with WorkspaceReader(two) as reader, pytest.raises(CorruptIndex, match="differs from what was published"):
        reader.index()


def test_verification_asks_no_cache(two, monkeypatch):
    with WorkspaceReader(two) as reader:
        reader.index()

    def refuse(*_):
        raise AssertionError("the cache was asked")

    monkeypatch.setattr(verified_files, "is_proven", refuse)
    assert verify(two, deep=True, listener=SilentListener()).problems == []


def test_an_index_that_was_mapped_answers_after_its_generation_is_gone(two, publish, tmp_path):
    with WorkspaceReader(two) as reader:
        index = reader.index()
    with WorkspaceStore(two, 1) as store:
        publish(store, "tools", tmp_path)
        publish(store, "maps", tmp_path)
    assert not two.generation_dir(2).exists()
    assert sorted(index.search(index._vectors[:1], 6).ids[0]) == [1, 2, 3, 5, 6, 7]
