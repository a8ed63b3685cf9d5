"""Searches by a process that stays: model and index in memory, and newer generations take over."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, final

from cli.filtered_indexes import FilteredIndexes
from cli.searching import Answer, find_neighbours

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from continual_dml.workflows.gallery_files import StoredPart
    from continual_dml.workflows.nearest_classes import ClassPrototypes
    from continual_dml.workflows.search import Searcher
    from storage.filters import Filter
    from storage.index.stored import StoredIndex
    from storage.live_reader import Health, LiveReader, Snapshot
    from storage.reader import WorkspaceReader
    from storage.workspace import Workspace

WARMED_UP = (1, 2, 4, 8, 16)
"""Numbers of images that are embedded together: the first time that a network sees a number takes long."""


class LoadedGeneration:
    """What searching in one generation takes beyond its catalogue and index.

    Args:
        reader: of the generation.
        device: where to compute.
    """

    def __init__(self, reader: WorkspaceReader, device: str) -> None:
        from continual_dml.workflows.nearest_classes import ClassPrototypes
        from continual_dml.workflows.search import Searcher

        self.searcher: Searcher = Searcher.open(reader.artefacts, device)
        self.prototypes: ClassPrototypes = ClassPrototypes.of(reader.artefacts, self.searcher.head)
        self.category_ids = reader.category_ids()
        self.category_names = {number: name for name, number in self.category_ids.items()}
        self.categories = frozenset(self.category_ids)
        self.filtered = FilteredIndexes()
        self._reader = reader
        self._lock = threading.Lock()

    def warm_up(self, side_pixels: int) -> None:
        """Let the network see each number of images once."""
        import numpy as np

        for count in WARMED_UP:
            self.searcher.embed(np.zeros((count, side_pixels, side_pixels, 3), dtype=np.uint8))

    def vector_of(self, item_id: int) -> NDArray[np.float32] | None:
        """Return the stored unit vector (D,) of a gallery item, None where there is no such item."""
        import numpy as np

        with self._lock:
            for part in self._parts:
                rows = np.flatnonzero(part.ids == item_id)
                if len(rows):
                    return part.vector(int(rows[0]))
        return None

    @cached_property
    def _parts(self) -> list[StoredPart]:
        from continual_dml.workflows.gallery_files import published_parts

        return list(published_parts(self._reader.artefacts))


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """One query: a square (S, S, 3) uint8 or a unit vector (D,), and what is wanted of it.

    ``name``: of the query, in the answer; ``k``: neighbours; ``where``: which items may answer; ``judged``:
    whether it is to be said if there is a match.
    """

    name: str
    k: int
    pixels: NDArray[np.uint8] | None = None
    vector: NDArray[np.float32] | None = None
    where: Filter | None = None
    judged: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The ``answer`` to one query, its unit ``vector`` (D,), and the generation that was ``asked``."""

    answer: Answer
    vector: NDArray[np.float32]
    asked: LoadedGeneration


@final
class LiveSearcher:
    """Context manager that answers queries from whatever generation is live; thread-safe.

    Args:
        workspace: with at least one task.
        device: where to compute.
        warm: let each generation's network see a few blank images before it answers.

    Raises:
        CatalogError: on entry, where nothing is ingested yet or the catalogue cannot answer.
        GalleryError: on entry, where the live generation is damaged.
        SettingsError: on entry, where the device is not there.
    """

    def __init__(self, workspace: Workspace, device: str = "auto", *, warm: bool = False) -> None:
        self.workspace = workspace
        self._device = device
        self._warm = warm
        self._resources = ExitStack()
        self._live: LiveReader[LoadedGeneration] | None = None

    def __enter__(self) -> LiveSearcher:
        from storage.live_reader import LiveReader

        self._live = self._resources.enter_context(LiveReader(self.workspace, self._load))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live = None
        self._resources.close()

    @property
    def health(self) -> Health:
        """Which generation answers, and why a newer one does not."""
        return self._reader().health

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot[LoadedGeneration]]:
        """Yield the generation that answers; it stays as it is and open for as long as the block lasts."""
        with self._reader().snapshot() as snapshot:
            yield snapshot

    def refresh(self) -> bool:
        """Let a newer generation answer from now on; says whether another one answers now."""
        return self._reader().refresh()

    @contextmanager
    def following(self, seconds: float) -> Iterator[None]:
        """Refresh every so many seconds, in a thread, for as long as the block lasts."""
        with self._reader().following(seconds):
            yield

    def search(self, queries: Sequence[Asked]) -> list[Found]:
        """Answer queries, all from the same generation.

        Their images go through the network together, and those that ask alike through the index.

        Raises:
            CatalogError: the catalogue cannot answer.
            DimensionMismatch: a vector is not of this generation's length.
        """
        with self.snapshot() as snapshot:
            loaded = snapshot.prepared
            vectors = _vectors(loaded.searcher, queries)
            alike: dict[tuple[int, Filter | None, bool], list[int]] = {}
            for place, asked in enumerate(queries):
                alike.setdefault((asked.k, asked.where, asked.judged), []).append(place)
            answers: dict[int, Answer] = {}
            for (k, where, judged), places in alike.items():
                index = loaded.filtered.among(snapshot.reader, snapshot.index, where)
                rule = loaded.searcher.rule if judged else None
                found = find_neighbours(snapshot.reader, index, vectors[places], k, rule)
                for place, (hits, verdict) in zip(places, found, strict=True):
                    answers[place] = Answer(
                        snapshot.generation.generation_id,
                        ((queries[place].name, hits),),
                        loaded.categories,
                        () if verdict is None else (verdict,),
                        None if rule is None else rule.reason,
                    )
            return [Found(answers[place], vectors[place], loaded) for place in range(len(queries))]

    def _load(self, reader: WorkspaceReader, index: StoredIndex) -> LoadedGeneration:
        del index
        loaded = LoadedGeneration(reader, self._device)
        if self._warm:
            loaded.warm_up(self.workspace.settings.model.stored_side_pixels)
        return loaded

    def _reader(self) -> LiveReader[LoadedGeneration]:
        if self._live is None:
            from continual_dml.errors import WorkspaceError

            root = self.workspace.root
            raise WorkspaceError(f"the searcher of {root} is closed: open it with a `with` statement")
        return self._live


def _vectors(searcher: Searcher, queries: Sequence[Asked]) -> NDArray[np.float32]:
    """Return the unit vectors (Q, D) of the queries."""
    import numpy as np

    squares = [asked.pixels for asked in queries if asked.pixels is not None]
    embedded = iter(embed_together(searcher, np.stack(squares)) if squares else ())
    return np.stack([next(embedded) if asked.vector is None else asked.vector for asked in queries])


def embed_together(searcher: Searcher, squares: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return unit vectors (Q, D) of squares (Q, S, S, 3), in numbers that the network has seen before."""
    import numpy as np

    parts = []
    start = 0
    while start < len(squares):
        count = max(one for one in WARMED_UP if one <= len(squares) - start)
        parts.append(searcher.embed(squares[start : start + count]))
        start += count
    return np.concatenate(parts)
