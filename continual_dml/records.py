"""Frozen values that cross the borders between packages. They hold data and no behaviour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from continual_dml.pixels import PixelRows


ADDED = "add"
"""The ``method`` of what stands among the tasks but was only added: nothing was learned, nothing held out."""


class Role(str, Enum):
    """What an image of a task is for: trained on and searched, or held out to ask with."""

    GALLERY = "gallery"
    QUERY = "query"


class VectorState(str, Enum):
    """How a gallery vector came to be.

    ``FRESH``: embedded by the live model; ``PROJECTED``: carried forward by the drift map;
    ``STALE``: left as an earlier generation made it.
    """

    FRESH = "fresh"
    PROJECTED = "projected"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One usable image of a task folder. ``path`` is absolute, ``content_hash`` the SHA-256 of the file."""

    path: str
    content_hash: str
    category: str
    role: Role
    size_bytes: int


@dataclass(frozen=True, slots=True)
class QuarantinedFile:
    """A file that was left out, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class LoadedTask:
    """A task folder after reading: ``pixels[i]`` (S, S, 3) uint8 RGB belongs to ``records[i]``.

    ``twins``: how many of the ``quarantined`` have the content of another file of the folder; ``unused``:
    test images beyond what is asked of a category; ``fingerprints`` (N, 4) of the records, see
    :mod:`continual_dml.fingerprints`, None where nobody took them.
    """

    name: str
    source: str
    records: tuple[ImageRecord, ...]
    pixels: NDArray[np.uint8]
    quarantined: tuple[QuarantinedFile, ...] = ()
    twins: int = 0
    unused: int = 0
    fingerprints: NDArray[np.uint64] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class LabelledImages:
    """Images and their global category ids: ``pixels`` (N, S, S, 3) uint8 RGB, ``labels`` (N,) int64."""

    pixels: PixelRows
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True, eq=False)
class Experience:
    """One task as the learner sees it: what it trains on, and what it is asked with afterwards."""

    name: str
    train: LabelledImages
    query: LabelledImages


@dataclass(frozen=True, slots=True, eq=False)
class LearningStream:
    """Tasks to learn one after another, for comparing methods.

    ``unseen`` are images of categories that no task trains on; None where the stream has none (the categories
    of later tasks then stand for them). Rows where ``unseen_asks`` (N,) is true are asked against those where
    it is false; None asks each image against all the others.
    """

    name: str
    tasks: tuple[Experience, ...]
    unseen: LabelledImages | None = None
    unseen_asks: NDArray[np.bool_] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """A search result, best first: ``ids`` (Q, K) int64 and ``similarities`` (Q, K) float32."""

    ids: NDArray[np.int64]
    similarities: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Lengths:
    """What was seen of items' lengths when their vectors were computed.

    ``norms`` (n,) float32: of their vectors before these were normalised; ``longest``: of their features.
    """

    norms: NDArray[np.float32]
    longest: float


@dataclass(frozen=True, slots=True, eq=False)
class GalleryPart:
    """The gallery items that one generation's model embedded.

    ``ids`` (n,) int64; ``features`` (n, F) float16 as that model gave them; ``vectors`` (n, D) float32,
    unit length, in the space of the generation that holds this part; ``lengths`` where somebody saw them.
    """

    birth_generation: int
    state: VectorState
    ids: NDArray[np.int64]
    features: NDArray[np.float16]
    vectors: NDArray[np.float32]
    lengths: Lengths | None = None


@dataclass(frozen=True, slots=True, eq=False)
class GalleryLabels:
    """Category and task of gallery items: ``ids`` (N,) ascending, ``categories``, ``tasks`` (N,), int64."""

    ids: NDArray[np.int64]
    categories: NDArray[np.int64]
    tasks: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class ViewPart:
    """Gallery items of one birth generation whose vectors are computed from their features when asked for.

    ``items_file``: the generation's file with ``ids`` (n,) int64 and ``features`` (n, F) float16.
    ``map_file``: that with ``matrix`` (D, F) and ``offset`` (D,) float64, so that a vector is
    ``normalise(matrix @ feature + offset)``. ``lengths``: of these vectors and features, where known.
    """

    items_file: str
    map_file: str
    lengths: Lengths | None = None


@dataclass(frozen=True, slots=True)
class Generation:
    """One published state of the workspace."""

    generation_id: int
    parent_id: int | None
    task_id: int
    manifest_sha256: str
    created_at: str


@dataclass(frozen=True, slots=True)
class CatalogItem:
    """What the catalogue knows about one image."""

    item_id: int
    category_id: int
    category: str
    task_id: int
    task: str
    role: Role
    content_hash: str
    path: str


@dataclass(frozen=True, slots=True)
class NewItem:
    """An image about to enter the catalogue."""

    item_id: int
    category_id: int
    role: Role
    content_hash: str
    path: str


@dataclass(frozen=True, slots=True)
class TaskSummary:
    """One task of the lineage of the live generation, or one addition to it, with what it brought.

    The images of an addition (its ``method`` is :data:`ADDED`) count as ``train_images``: they are searched.
    """

    task_id: int
    name: str
    source: str
    method: str
    generation_id: int
    categories: int
    train_images: int
    query_images: int
    quarantined: tuple[QuarantinedFile, ...] = ()


@dataclass(frozen=True, slots=True)
class PartCount:
    """How many gallery items of one birth generation are in which state."""

    birth_generation: int
    state: VectorState
    items: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """One retrieval metric of one task's queries after learning the generation's task.

    ``metric`` is ``recall``, ``r_precision``, ``map_at_r`` or ``queries`` (the number of queries measured);
    ``k`` is 0 where the metric has none;
    ``scope`` is ``merged`` (gallery of all tasks) or ``within`` (the task's own categories only);
    ``queries`` counts the queries the mean is over, ``without_positive`` those that had no match to find.
    """

    metric: str
    k: int
    scope: str
    task_id: int
    value: float
    queries: int
    without_positive: int


@dataclass(frozen=True, slots=True)
class Deletion:
    """All that the catalogue has to learn about a generation that is its parent without some images.

    ``item_ids``: what it does not see any more; ``parts``: of the gallery that is left; ``purged``: whether
    generations from before it go at once, whatever else is to be kept.
    """

    item_ids: Sequence[int]
    parts: Sequence[PartCount]
    purged: bool


@dataclass(frozen=True, slots=True)
class GalleryRefresh:
    """All that the catalogue has to learn about a generation that is its parent with other vectors.

    ``refusal``: as of a :class:`Publication`.
    """

    parts: Sequence[PartCount]
    measurements: Sequence[Measurement]
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class Publication:
    """All that the catalogue has to learn about one new generation.

    ``refusal``: why its quality gate keeps it from going live by itself, in one line; None where it may.
    """

    task_name: str
    source: str
    method: str
    new_categories: Mapping[int, str]
    items: Sequence[NewItem]
    quarantined: Sequence[QuarantinedFile]
    parts: Sequence[PartCount]
    measurements: Sequence[Measurement]
    refusal: str | None = None
