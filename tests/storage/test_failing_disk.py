"""Whatever call to the system fails while a task is published, nothing of the task stays."""

from __future__ import annotations

import errno
import itertools
import os
from pathlib import Path

import pytest

from continual_dml.errors import CdmlError
from storage.store import WorkspaceStore


@pytest.mark.parametrize(
    ("call", "number"),
    [("fsync", errno.EIO), ("open", errno.ENOSPC), ("rename", errno.ENOSPC), ("link", errno.EIO)],
)
def test_any_call_may_fail_and_the_abandoned_run_leaves_nothing(
    workspace, publish, invariants, tmp_path, monkeypatch, call, number
):
    with WorkspaceStore(workspace) as store:
        publish(store, "first", tmp_path)
    failures = 0
    while not _publish_with_failure(workspace, publish, tmp_path, monkeypatch, call, failures, number):
        failures += 1
        invariants(workspace, ["first"])
    assert failures >= {"fsync": 9, "open": 14, "rename": 1, "link": 1}[call]
    invariants(workspace, ["first", "second"])


def _publish_with_failure(workspace, publish, folder, monkeypatch, call, nth, number):
    """Publish while the nth call fails; says whether it went through because there were fewer calls."""
    owner = Path if call == "rename" else os
    original, counted = getattr(owner, call), itertools.count()

    def fail(*arguments, **options):
        if next(counted) == nth:
            raise OSError(number, os.strerror(number))
        return original(*arguments, **options)

    with WorkspaceStore(workspace) as store:
        drafts = []
        begin = store.begin
        with monkeypatch.context() as patch:
            patch.setattr(
                WorkspaceStore, "begin", lambda self, name: drafts.append(begin(name)) or drafts[-1]
            )
            patch.setattr(owner, call, fail)
            try:
                publish(store, "second", folder)
            except CdmlError:
                published = False
            else:
                published = True
        if not published and drafts:
            drafts[0].abandon()
            assert list(workspace.generations_dir.iterdir()) == [workspace.generation_dir(1)]
    return published
