from __future__ import annotations

import os
from dataclasses import replace

import pytest

from continual_dml.errors import WorkspaceError
from continual_dml.records import Role
from storage.query_copies import keep_copy, sweep


@pytest.fixture
def record(image, tmp_path):
    return image(tmp_path, "query.png", Role.QUERY, "apple")


def test_a_copy_is_addressed_by_its_content_and_outlives_the_original(workspace, record, tmp_path):
    keep_copy(workspace, record)
    (tmp_path / "query.png").unlink()
    copy = workspace.query_copy(record.content_hash)
    assert copy.read_bytes() == b"image query.png"
    assert copy.parent.name == record.content_hash[:2]
    keep_copy(workspace, record)  # a whole copy is there: the original is not needed


def test_a_half_written_copy_is_made_anew(workspace, record):
    copy = workspace.query_copy(record.content_hash)
    copy.parent.mkdir()
    copy.write_bytes(b"image qu")
    keep_copy(workspace, record)
    assert copy.read_bytes() == b"image query.png"


def test_an_image_that_changed_meanwhile_is_refused(workspace, record, tmp_path):
    (tmp_path / "query.png").write_bytes(b"image QUERY.png")
    with pytest.raises(WorkspaceError, match="changed while the task was read"):
        keep_copy(workspace, record)
    assert not workspace.query_copy(record.content_hash).exists()


def test_a_symbolic_link_a_pipe_and_a_missing_file_are_refused(workspace, record, tmp_path):
    (tmp_path / "link.png").symlink_to(tmp_path / "query.png")
    os.mkfifo(tmp_path / "pipe.png")
    for name in ("link.png", "pipe.png", "missing.png"):
        with pytest.raises(WorkspaceError, match=name):
            keep_copy(workspace, replace(record, path=str(tmp_path / name)))


def test_unreferenced_copies_are_swept_and_others_stay(workspace, record, image, tmp_path):
    other = image(tmp_path, "other.png", Role.QUERY, "apple")
    keep_copy(workspace, record)
    keep_copy(workspace, other)
    assert sweep(workspace, {record.content_hash}) == []
    assert workspace.query_copy(record.content_hash).exists()
    assert not workspace.query_copy(other.content_hash).exists()
