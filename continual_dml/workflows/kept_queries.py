"""The workspace's held-out images: as they were stored with their task, and as the live model sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from continual_dml.ports import Artefacts, Draft, ImageReader, ProgressListener, Store
from continual_dml.records import CatalogItem
from continual_dml.workflows.embed_files import embed_files
from continual_dml.workflows.live_model import LiveModel

if TYPE_CHECKING:
    from typing_extensions import Self

_PREFIX, _SUFFIX = "queries-", ".safetensors"
ASKED_FILE = "asked.safetensors"
"""Has the features of the queries that a generation was measured with, as its model sees them."""


@dataclass(frozen=True, slots=True, eq=False)
class AskedAgain:
    """Queries of earlier tasks: what the catalogue says of them and their stored features (n, F) by now."""

    items: Sequence[CatalogItem]
    features: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class SeenQueries:
    """Queries as a model saw them: ``ids`` (n,), ``features`` (n, F)."""

    ids: NDArray[np.int64]
    features: NDArray[np.floating]

    def only(self, ids: NDArray[np.int64]) -> Self:
        """Return those of them that are among ``ids`` (m,)."""
        rows = np.flatnonzero(np.isin(self.ids, ids))
        return replace(self, ids=self.ids[rows], features=self.features[rows])

    def to_arrays(self) -> Mapping[str, NDArray[np.int64] | NDArray[np.floating]]:
        """Return them as named arrays, for storage."""
        return {"ids": self.ids, "features": self.features}


@dataclass(frozen=True, slots=True, eq=False)
class BornQueries(SeenQueries):
    """Queries as the model of their own task saw them, in float16."""

    birth_generation: int


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
            found.append(BornQueries(arrays["ids"], arrays["features"], birth))
    return found


def seen_queries(artefacts: Artefacts) -> SeenQueries | None:
    """Return the queries that a generation was measured with; None where it does not keep them."""
    if ASKED_FILE not in artefacts.names():
        return None
    arrays = artefacts.read_tensors(ASKED_FILE)
    return SeenQueries(arrays["ids"], arrays["features"])


def ask_again(
    store: Store,
    most: int,
    model: LiveModel,
    reader: ImageReader,
    listener: ProgressListener,
    seen: SeenQueries | None = None,
) -> AskedAgain:
    """Embed the workspace's copies of earlier queries: at most ``most``, as many of each task.

    A task's queries are always the same first ones, so that fewer of them are asked as tasks become more, but
    never others.

    Args:
        store: has the copies.
        most: how many.
        model: that embeds them.
        reader: of images.
        listener: told one unit per image.
        seen: as the same weights saw them before; these are not opened again.
    """
    tasks = len(store.tasks())
    if not tasks:
        width = sum(embedder.feature_dim for embedder in model.embedders)
        return AskedAgain((), np.empty((0, width), dtype=np.float32))
    asked = store.query_items(per_task=max(1, most // tasks))
    row_of = {} if seen is None else {int(item_id): row for row, item_id in enumerate(seen.ids)}
    known = [item for item in asked if item.item_id in row_of]
    items = [item for item in asked if item.item_id not in row_of]
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
    if seen is not None:
        features = np.concatenate([seen.features[[row_of[item.item_id] for item in known]], features])
    return AskedAgain([*known, *(items[int(position)] for position in positions)], features)


def rewrite_queries(parent: Artefacts, draft: Draft, gone: NDArray[np.int64]) -> set[str]:
    """Write the kept queries that lose some anew; return the names of their files.

    Args:
        parent: the live generation's files.
        draft: of the next one.
        gone: ids (n,) of images that it will be without.
    """
    every: dict[str, SeenQueries] = {
        queries_file(group.birth_generation): group for group in born_queries(parent)
    }
    seen = seen_queries(parent)
    if seen is not None:
        every[ASKED_FILE] = seen
    changed = {name: group for name, group in every.items() if np.isin(group.ids, gone).any()}
    for name, group in changed.items():
        left = group.only(np.setdiff1d(group.ids, gone))
        if len(left.ids):
            draft.write_tensors(name, left.to_arrays())
    return set(changed)
