"""A tiny workspace, a way to publish tiny tasks, and a way to crash."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from continual_dml.records import Generation, ImageRecord, Role
from continual_dml.settings import Settings
from storage import failpoints
from storage.reader import WorkspaceReader
from storage.store import WorkspaceStore
from storage.workspace import Workspace
from tests.storage.tiny_tasks import SMALL, image_file, on_circle, publish_task


def check_invariants(workspace: Workspace, expected_tasks: list[str]) -> None:
    """Catalogue, index, manifest and directories agree, and nothing unreferenced lies around."""
    with WorkspaceStore(workspace) as store:
        assert [task.name for task in store.tasks()] == expected_tasks
        assert sorted(store.category_ids()) == sorted(expected_tasks)
        copies = {item.content_hash for item in store.query_items()}
    found = {path.name for path in workspace.queries_dir.rglob("*") if path.is_file()}
    assert found == copies
    if not expected_tasks:
        assert list(workspace.generations_dir.iterdir()) == []
        return
    with WorkspaceReader(workspace) as reader:
        directory = workspace.generation_dir(reader.generation.generation_id)
        assert list(workspace.generations_dir.iterdir()) == [directory]
        assert {path.name for path in directory.iterdir()} == {*reader.artefacts.all_names(), "MANIFEST.json"}
        ids = np.sort(reader.index().ids)
        assert len(ids) == 3 * len(expected_tasks)
        assert np.array_equal(reader.index().search(on_circle(ids), 1).ids[:, 0], ids)
        assert {item.role for item in reader.items(ids.tolist()).values()} == {Role.GALLERY}
        weight = reader.artefacts.read_tensors("model.safetensors")["weight"]
        assert weight[0, 0] == reader.generation.generation_id


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "workspace", SMALL)


@pytest.fixture
def publish() -> Callable[..., Generation]:
    return publish_task


@pytest.fixture
def invariants() -> Callable[..., None]:
    return check_invariants


@pytest.fixture
def image() -> Callable[..., ImageRecord]:
    return image_file


@pytest.fixture
def small_settings() -> Settings:
    return SMALL


class Crash(BaseException):
    """Stops the program as a crash does: nobody expects it, so nobody cleans up."""


@pytest.fixture
def crash_at(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], type[Crash]]]:
    def prepare(step: str) -> type[Crash]:
        def stop(reached: str) -> None:
            if reached == step:
                monkeypatch.undo()
                raise Crash(step)

        monkeypatch.setattr(failpoints, "on_step", stop)
        return Crash

    return prepare


@pytest.fixture
def two(tmp_path: Path, small_settings: Settings, publish: Callable[..., Generation]) -> Workspace:
    """A workspace with initial weights that keeps both generations it has published."""
    weights = bytes.fromhex("0800000000000000") + b"{}      "
    workspace = Workspace.create(
        tmp_path / "two", small_settings, None, weights, {"source": "here"}, keep_generations=2
    )
    with WorkspaceStore(workspace) as store:
        for name in ("birds", "cars"):
            publish(store, name, tmp_path / name)
    return workspace
