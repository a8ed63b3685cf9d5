"""Tasks that a quality gate refused, and what can then be seen of a workspace."""

from __future__ import annotations

from continual_dml.ports import SilentListener
from storage.reader import WorkspaceReader
from storage.store import WorkspaceStore
from storage.verification import verify
from tests.storage.tiny_tasks import publish_task

QUIET = SilentListener()
WHY = "recall is 0.100, below 0.400"


def refuse(workspace, name="noise"):
    with WorkspaceStore(workspace) as store:
        return publish_task(store, name, workspace.root.parent / "images", refusal=WHY)


def learn(workspace, name):
    with WorkspaceStore(workspace) as store:
        return publish_task(store, name, workspace.root.parent / "images")


def live(workspace):
    """Number, tasks and images of what answers, checked on the way."""
    with WorkspaceReader(workspace) as reader:
        ids = sorted(reader.index().ids.tolist())
        assert sorted(reader.items(ids)) == ids
        return reader.generation.generation_id, [task.name for task in reader.tasks()], ids


def on_disk(workspace):
    return sorted(int(path.name) for path in workspace.generations_dir.iterdir())


def whole(workspace):
    return verify(workspace, deep=True, listener=QUIET).problems == []
