"""A tiny workspace and a way to publish tiny tasks: points on the unit circle, files of a few bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from continual_dml.records import (
    Generation,
    ImageRecord,
    Measurement,
    NewItem,
    PartCount,
    Publication,
    QuarantinedFile,
    Role,
    VectorState,
)
from continual_dml.settings import ModelSettings, Settings
from storage import failpoints
from storage.reader import WorkspaceReader
from storage.store import WorkspaceStore
from storage.workspace import Workspace

SMALL = Settings(
    model=ModelSettings(backbone="conv4", pretrained=False, embedding_dim=2, image_side_pixels=32)
)


def on_circle(ids: np.ndarray) -> np.ndarray:
    """One unit vector per item id, so that any test knows where an item must lie."""
    angles = ids.astype(np.float64) * 0.1
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def image_file(folder: Path, name: str, role: Role, category: str) -> ImageRecord:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    content = f"image {name}".encode()
    path.write_bytes(content)
    return ImageRecord(str(path), hashlib.sha256(content).hexdigest(), category, role, len(content))


def publish_task(
    store: WorkspaceStore, name: str, folder: Path, gallery: int = 3, queries: int = 1
) -> Generation:
    """Publish a task with one new category; older items keep their vectors as projected ones."""
    head = store.head()
    draft = store.begin(name)
    roles = [Role.GALLERY] * gallery + [Role.QUERY] * queries
    records = [image_file(folder, f"{name}-{n}.png", role, name) for n, role in enumerate(roles)]
    items = [
        NewItem(
            draft.first_item_id + n, draft.first_category_id, record.role, record.content_hash, record.path
        )
        for n, record in enumerate(records)
    ]
    for record in records[gallery:]:
        draft.keep_query_copy(record)
    new_ids = np.array([item.item_id for item in items[:gallery]], dtype=np.int64)
    old_ids = np.empty(0, dtype=np.int64)
    if head is not None:
        old_ids = store.open_generation(head).open_index().ids
        draft.inherit("initial.safetensors")
    else:
        draft.write_tensors("initial.safetensors", {"weight": np.eye(2), "steps": np.array(7)})
    draft.write_tensors(
        "model.safetensors", {"weight": np.full((2, 2), draft.generation_id, dtype=np.float32)}
    )
    ids = np.concatenate([new_ids, old_ids])
    draft.write_index(ids, on_circle(ids))
    draft.write_json("report.json", {"generation": draft.generation_id, "average": float("nan")})
    parts = [PartCount(draft.generation_id, VectorState.FRESH, gallery)]
    if len(old_ids):
        parts.append(PartCount(head.generation_id, VectorState.PROJECTED, len(old_ids)))
    return draft.publish(
        Publication(
            task_name=name,
            source=str(folder),
            method="finetune",
            new_categories={draft.first_category_id: name},
            items=items,
            quarantined=[QuarantinedFile(f"{folder}/bad.png", "truncated")],
            parts=parts,
            measurements=[Measurement("recall", 1, "merged", draft.task_id, float("nan"), 0, queries)],
        ),
        {"method": "finetune"},
    )


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
        assert {path.name for path in directory.iterdir()} == {*reader.artefacts.names(), "MANIFEST.json"}
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
