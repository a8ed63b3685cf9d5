"""Tiny tasks to publish: points on the unit circle, files of a few bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from continual_dml.errors import CdmlError
from continual_dml.records import (
    ADDED,
    Deletion,
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
from storage.draft import PublishingDraft
from storage.store import WorkspaceStore

SMALL = Settings(
    model=ModelSettings(backbone="conv4", pretrained=False, embedding_dim=2, image_side_pixels=32)
)


def on_circle(ids: np.ndarray) -> np.ndarray:
    """One unit vector per item id, so that any test knows where an item must lie."""
    angles = ids.astype(np.float64) * 0.1
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def image_file(folder: Path, name: str, role: Role, category: str) -> ImageRecord:
    """An "image" of a few bytes, written unless it is there."""
    path = folder / name
    content = f"image {name}".encode()
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return ImageRecord(str(path), hashlib.sha256(content).hexdigest(), category, role, len(content))


def publish_task(
    store: WorkspaceStore,
    name: str,
    folder: Path,
    gallery: int = 3,
    queries: int = 1,
    refusal: str | None = None,
) -> Generation:
    """Publish a task with one new category; older items keep their vectors as projected ones."""
    draft = store.begin(name)
    try:
        return _publish(store, draft, name, folder, gallery, queries, refusal)
    except CdmlError:
        draft.abandon()
        raise


def _publish(
    store: WorkspaceStore,
    draft: PublishingDraft,
    name: str,
    folder: Path,
    gallery: int,
    queries: int,
    refusal: str | None,
) -> Generation:
    head = store.head()
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
            refusal=refusal,
        ),
        {"method": "finetune"},
    )


def add_images(store: WorkspaceStore, name: str, folder: Path, count: int = 3) -> Generation:
    """Publish the live generation with images of one new category, without learning."""
    head = store.head()
    parent = store.open_generation(head)
    draft = store.begin(name)
    try:
        for inherited in parent.names():
            if inherited not in parent.index_files:
                draft.inherit(inherited)
        records = [image_file(folder, f"{name}-{n}.png", Role.GALLERY, name) for n in range(count)]
        items = [
            NewItem(draft.first_item_id + n, draft.first_category_id, one.role, one.content_hash, one.path)
            for n, one in enumerate(records)
        ]
        old_ids = parent.open_index().ids
        ids = np.concatenate([old_ids, np.array([item.item_id for item in items], dtype=np.int64)])
        draft.write_index(ids, on_circle(ids))
        parts = [PartCount(draft.generation_id, VectorState.FRESH, count)]
        if len(old_ids):
            parts.append(PartCount(head.generation_id, VectorState.PROJECTED, len(old_ids)))
        left_out = [QuarantinedFile(f"{folder}/bad.png", "truncated")]
        new = {draft.first_category_id: name}
        addition = Publication(name, str(folder), ADDED, new, items, left_out, parts, ())
        return draft.publish_addition(addition, parent.config)
    except CdmlError:
        draft.abandon()
        raise


def delete_images(store: WorkspaceStore, item_ids: Sequence[int], *, purge: bool = False) -> Generation:
    """Publish the live generation without some images."""
    head = store.head()
    parent = store.open_generation(head)
    draft = store.begin("deletion")
    try:
        for name in parent.names():
            if name not in parent.index_files:
                draft.inherit(name)
        ids = np.setdiff1d(parent.open_index().ids, item_ids)
        draft.write_index(ids, on_circle(ids), thin=not purge)
        parts = [PartCount(head.generation_id, VectorState.PROJECTED, len(ids))] if len(ids) else []
        return draft.publish_deletion(Deletion(item_ids, parts, purge), parent.config)
    except CdmlError:
        draft.abandon()
        raise
