"""Workspaces whose vectors lie in tables: what is there, how it is harmed, and a task to publish in them."""

from __future__ import annotations

from contextlib import closing

import numpy as np
from sqlalchemy import text

from continual_dml.records import NewItem, PartCount, Publication, Role, VectorState
from continual_dml.workflows.gallery_files import items_file, vectors_file
from storage.catalog.engine import Database
from storage.pgvector.tables import tables_in
from tests.storage.tiny_tasks import image_file, on_circle


def vector_tables(workspace):
    """Names of the tables of vectors in its database."""
    with (
        closing(Database(workspace.database_url, read_only=True)) as database,
        database.transaction() as connection,
    ):
        return sorted(tables_in(connection))


def execute(workspace, statement):
    """Change its database as anybody could."""
    with (
        closing(Database(workspace.database_url, read_only=False)) as database,
        database.transaction() as connection,
    ):
        connection.execute(text(statement))


def publish_whole(store, name, folder, gallery=3):
    """Publish a first task as an ingest does: with its vectors in a file too."""
    draft = store.begin(name)
    records = [image_file(folder, f"{name}-{n}.png", Role.GALLERY, name) for n in range(gallery)]
    ids = np.arange(draft.first_item_id, draft.first_item_id + gallery, dtype=np.int64)
    features = np.ones((gallery, 4), dtype=np.float32)
    draft.write_tensors(items_file(draft.generation_id), {"ids": ids, "features": features})
    draft.write_tensors(vectors_file(draft.generation_id), {"vectors": on_circle(ids)})
    draft.write_index(ids, on_circle(ids))
    parts = [{"birth_generation": draft.generation_id, "state": "fresh", "items": gallery}]
    draft.write_json("report.json", {"generation": draft.generation_id, "parts": parts})
    category = draft.first_category_id
    items = [
        NewItem(int(number), category, Role.GALLERY, record.content_hash, record.path)
        for number, record in zip(ids, records, strict=True)
    ]
    counts = [PartCount(draft.generation_id, VectorState.FRESH, gallery)]
    task = Publication(name, str(folder), "finetune", {category: name}, items, [], counts, [])
    return draft.publish(task, {"method": "finetune"})
