"""The workspace's held-out images: as they were stored with their task, and as the live model sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from continual_dml.ports import Artefacts, ImageReader, ProgressListener, Store
from continual_dml.records import CatalogItem
from continual_dml.workflows.embed_files import embed_files
from continual_dml.workflows.live_model import LiveModel

_PREFIX, _SUFFIX = "queries-", ".safetensors"


@dataclass(frozen=True, slots=True, eq=False)
class AskedAgain:
    """Queries of earlier tasks: what the catalogue says of them and their stored features (n, F) by now."""

    items: Sequence[CatalogItem]
    features: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class BornQueries:
    """Queries as the model of their own task saw them: ``ids`` (n,), ``features`` (n, F) float16."""

    birth_generation: int
    ids: NDArray[np.int64]
    features: NDArray[np.float16]

    def only(self, ids: NDArray[np.int64]) -> BornQueries:
        """Return those of them that are among ``ids`` (m,)."""
        rows = np.flatnonzero(np.isin(self.ids, ids))
        return BornQueries(self.birth_generation, self.ids[rows], self.features[rows])

    def to_arrays(self) -> Mapping[str, NDArray[np.int64] | NDArray[np.float16]]:
        """Return them as named arrays, for storage."""
        return {"ids": self.ids, "features": self.features}


def queries_file(birth: int) -> str:
    """Name of the file with ids and features of the queries that came with generation ``birth``.

    >>> queries_file(3)
    'queries-00000003.safetensors'
    """
    return f"{_PREFIX}{birth:08d}{_SUFFIX}"


def born_queries(artefacts: Artefacts) -> list[BornQueries]:
    """Return the queries of a published generation as they were born, oldest first."""
    found = []
    for name in sorted(artefacts.names()):
        if name.startswith(_PREFIX):
            arrays = artefacts.read_tensors(name)
            birth = int(name.removeprefix(_PREFIX).removesuffix(_SUFFIX))
            found.append(BornQueries(birth, arrays["ids"], arrays["features"]))
    return found


def ask_again(
    store: Store, most: int, model: LiveModel, reader: ImageReader, listener: ProgressListener
) -> AskedAgain:
    """Embed the workspace's copies of earlier queries: at most ``most``, as many of each task.

    A task's queries are always the same first ones, so that fewer of them are asked as tasks become more, but
    never others.
    """
    tasks = len(store.tasks())
    if not tasks:
        width = sum(embedder.feature_dim for embedder in model.embedders)
        return AskedAgain((), np.empty((0, width), dtype=np.float32))
    items = store.query_items(per_task=max(1, most // tasks))
    listener.start("embedding queries", len(items))
    features, positions = embed_files(
        [store.query_copy_path(item.content_hash) for item in items],
        [item.content_hash for item in items],
        model.embedders,
        model.compute,
        reader,
        listener,
        model.shards,
    )
    return AskedAgain([items[int(position)] for position in positions], features)
