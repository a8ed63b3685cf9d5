"""Tasks of a few items whose vectors are written, or computed from features that stay where they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from continual_dml.errors import CdmlError
from continual_dml.memory.feature_views import FeatureView
from continual_dml.records import Generation, NewItem, PartCount, Publication, Role, VectorState
from continual_dml.reports import describe_parts
from continual_dml.workflows.gallery_files import items_file, vectors_file, write_views
from storage.draft import PublishingDraft
from storage.store import WorkspaceStore
from tests.storage.tiny_tasks import image_file

WIDTH, DIMENSION = 12, 4


def view_of(birth: int, generation: int) -> FeatureView:
    """How the model of ``generation`` sees features of ``birth``."""
    random = np.random.default_rng([birth, generation])
    return FeatureView(random.normal(size=(DIMENSION, WIDTH)), random.normal(size=DIMENSION))


def features_of(ids: np.ndarray) -> np.ndarray:
    """One feature per item id, so that any test knows it."""
    rows = [np.random.default_rng(int(number)).normal(size=WIDTH) for number in ids]
    return np.array(rows).reshape(-1, WIDTH).astype(np.float16)


def vectors_of(ids: np.ndarray, birth: int, generation: int) -> np.ndarray:
    """The vectors that the items of one birth generation have in ``generation``."""
    return view_of(birth, generation)(features_of(ids))


def publish_gallery(
    store: WorkspaceStore, name: str, folder: Path, *, view: bool, gallery: int = 6
) -> Generation:
    """Publish a task as an ingest does that carries older items forward: with their vectors, or without."""
    draft = store.begin(name)
    try:
        return _publish(store, draft, name, folder, view, gallery)
    except CdmlError:
        draft.abandon()
        raise


def _publish(
    store: WorkspaceStore, draft: PublishingDraft, name: str, folder: Path, view: bool, gallery: int
) -> Generation:
    head, number = store.head(), draft.generation_id
    born: dict[int, np.ndarray] = {}
    if head is not None:
        parent = store.open_generation(head)
        for part in parent.read_json("report.json")["parts"]:
            birth = part["birth_generation"]
            born[birth] = parent.read_tensors(items_file(birth))["ids"]
            draft.inherit(items_file(birth))
    roles = [Role.GALLERY] * gallery + [Role.QUERY]
    records = [image_file(folder, f"{name}-{n}.png", role, name) for n, role in enumerate(roles)]
    items = [
        NewItem(draft.first_item_id + n, draft.first_category_id, one.role, one.content_hash, one.path)
        for n, one in enumerate(records)
    ]
    draft.keep_query_copy(records[-1])
    ids = np.arange(draft.first_item_id, draft.first_item_id + gallery, dtype=np.int64)
    draft.write_tensors(items_file(number), {"ids": ids, "features": features_of(ids)})
    born[number] = ids
    if view:
        write_views(draft, {birth: view_of(birth, number) for birth in born})
    else:
        vectors = {birth: vectors_of(own, birth, number) for birth, own in born.items()}
        for birth, written in vectors.items():
            draft.write_tensors(vectors_file(birth), {"vectors": written})
        draft.write_index(np.concatenate([*born.values()]), np.concatenate([*vectors.values()]))
    counts = [
        PartCount(birth, VectorState.FRESH if birth == number else VectorState.PROJECTED, len(own))
        for birth, own in born.items()
    ]
    draft.write_json("report.json", {"generation": number, "parts": describe_parts(counts)})
    category = {draft.first_category_id: name}
    task = Publication(name, str(folder), "finetune", category, items, [], counts, [])
    return draft.publish(task, {"method": "finetune"})
