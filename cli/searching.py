"""Queries of a gallery: what was found for each image, and what is to be thought of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from continual_dml.ports import VectorIndex
    from continual_dml.records import CatalogItem
    from continual_dml.strategies.acceptance import AcceptanceRule
    from continual_dml.verdicts import Verdict
    from storage.filters import Filter
    from storage.reader import WorkspaceReader
    from storage.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Hit:
    """One neighbour: an item of the catalogue and its cosine similarity to the query."""

    item: CatalogItem
    similarity: float


@dataclass(frozen=True, slots=True)
class Answer:
    """The generation that answered, for each query path its neighbours, best first, and all categories.

    ``verdicts``: of each query, empty where nothing was judged; ``no_threshold``: why there is no threshold
    to judge by, None where there is one or none was wanted.
    """

    generation: int
    queries: tuple[tuple[str, list[Hit]], ...]
    categories: frozenset[str] = frozenset()
    verdicts: tuple[Verdict, ...] = ()
    no_threshold: str | None = None

    @property
    def has_no_match(self) -> bool:
        """Whether not one of the queries has a match."""
        return bool(self.verdicts) and all(verdict.match is False for verdict in self.verdicts)


def find_neighbours(
    reader: WorkspaceReader,
    index: VectorIndex,
    vectors: NDArray[np.float32],
    k: int,
    rule: AcceptanceRule | None,
) -> list[tuple[list[Hit], Verdict | None]]:
    """Return for each query its ``k`` nearest items, best first, and what is to be thought of them.

    Args:
        reader: of the generation that answers.
        index: its index, or a part of it.
        vectors: (Q, D) unit vectors.
        k: how many neighbours.
        rule: that judges; None where nothing is to be judged.
    """
    from continual_dml.strategies.acceptance import LOOKED_AT

    found = index.search(vectors, k if rule is None else max(k, LOOKED_AT))
    items = reader.items(sorted({int(item_id) for item_id in found.ids.flat}))
    results: list[tuple[list[Hit], Verdict | None]] = []
    for ids, scores in zip(found.ids, found.similarities, strict=True):
        hits = [Hit(items[int(i)], float(s)) for i, s in zip(ids, scores, strict=True)]
        verdict = None
        if rule is not None:
            verdict = rule.judge([hit.similarity for hit in hits], [hit.item.category_id for hit in hits])
        results.append((hits[:k], verdict))
    return results


def index_among(reader: WorkspaceReader, index: VectorIndex, where: Filter | None) -> VectorIndex:
    """Return the part of an index that a filter is true of; all of it without one."""
    if where is None:
        return index
    import numpy as np

    return index.among(np.array(reader.matching_ids(where), dtype=np.int64))


def run_search(
    workspace: Workspace,
    paths: Sequence[Path],
    k: int,
    device: str,
    where: Filter | None = None,
    *,
    judged: bool = True,
) -> Answer:
    """Find the ``k`` nearest gallery items of each image, of those that ``where`` is true of.

    All images are read before anything is searched. ``judged``: say of each whether it has a match.

    Raises:
        StreamError: a path is no usable image.
        CatalogError: nothing is ingested yet.
    """
    from cli.wiring import read_query_images, reading

    with reading(workspace) as reader:
        pixels = read_query_images(paths, workspace.settings)
        return search_in(reader, [str(path) for path in paths], pixels, k, device, where, judged=judged)


def search_in(
    reader: WorkspaceReader,
    names: Sequence[str],
    pixels: NDArray[np.uint8],
    k: int,
    device: str,
    where: Filter | None = None,
    *,
    judged: bool = True,
) -> Answer:
    """Search an open generation once; its model is loaded for that.

    Args:
        reader: of the generation.
        names: of the queries, in the answer.
        pixels: (Q, S, S, 3) uint8, squares as they are stored.
        k: how many neighbours.
        device: where to compute.
        where: which items may answer.
        judged: say of each query whether it has a match.
    """
    from continual_dml.workflows.search import Searcher

    index = index_among(reader, reader.index(), where)
    searcher = Searcher.open(reader.artefacts, device)
    rule = searcher.rule if judged else None
    found = find_neighbours(reader, index, searcher.embed(pixels), k, rule)
    return Answer(
        reader.generation.generation_id,
        tuple((name, hits) for name, (hits, _) in zip(names, found, strict=True)),
        frozenset(reader.category_ids()),
        tuple(verdict for _, verdict in found if verdict is not None),
        None if rule is None else rule.reason,
    )
