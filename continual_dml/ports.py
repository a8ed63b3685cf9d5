"""What the core needs from outside, as small protocols that ``streams``, ``storage`` and ``cli`` fill."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from continual_dml.records import (
    CatalogItem,
    Deletion,
    GalleryLabels,
    GalleryRefresh,
    Generation,
    ImageRecord,
    Neighbours,
    Publication,
    TaskSummary,
    ViewPart,
)

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    Tensors = Mapping[str, NDArray[Any]]


class ProgressListener(Protocol):
    """Told what goes on; must never fail and never write to stdout."""

    def start(self, stage: str, total: int) -> None:
        """A stage of ``total`` units begins; a stage that was open before is finished."""

    def advance(self, units: int = 1, detail: str = "") -> None:
        """``units`` more are done; ``detail`` is a short text such as the current loss."""

    def note(self, message: str) -> None:
        """One line worth showing, for instance a warning."""


class TrainingLog(Protocol):
    """Told what training computes, for curves; must never fail and changes nothing."""

    def step(self, task: int, step: int, terms: Mapping[str, float]) -> None:
        """Optimisation ``step`` (from 0) of a task (its index, from 0) had these loss terms."""


class SilentListener:
    """A progress listener that tells nobody."""

    def start(self, stage: str, total: int) -> None:
        """A stage begins: not told."""

    def advance(self, units: int = 1, detail: str = "") -> None:
        """Some of it is done: not told."""

    def note(self, message: str) -> None:
        """A note: not told."""


class PairLoss(Protocol):
    """A metric-learning loss over one batch."""

    def __call__(self, embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the scalar loss of unit vectors ``embeddings`` (B, D) with ``labels`` (B,)."""


class VectorIndex(Protocol):
    """Exact or approximate inner-product search over unit vectors with stable ids; larger is closer."""

    @property
    def dimension(self) -> int:
        """Length of a vector."""

    def __len__(self) -> int: ...

    def among(self, ids: NDArray[np.int64]) -> VectorIndex:
        """Return an index of those of its items that are among ``ids`` (n,), in any order."""

    def search(self, queries: NDArray[np.float32], k: int) -> Neighbours:
        """Return the ``min(k, len(self))`` best items per query (Q, D), best first.

        Raises:
            DimensionMismatch: the queries have another dimension.
        """


class ImageReader(Protocol):
    """Decodes files to the pixel squares that the workspace's models were trained on."""

    def read(
        self, paths: Sequence[str], expected_hashes: Sequence[str] | None = None
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Return pixels (n, S, S, 3) uint8 and the positions (n,) in ``paths`` they belong to.

        Files that cannot be read, or whose SHA-256 differs from the expected one, are left out.
        """


class Checkpoints(Protocol):
    """Keeps the state of one training run, so that an interrupted one can go on."""

    def read(self) -> Tensors | None:
        """Return what was kept last of this very run, None where nothing is or it is not whole."""

    def is_due(self, *, last: bool) -> bool:
        """Say whether it is time to keep the state; ``last``: after the last step."""

    def write(self, tensors: Tensors) -> str | None:
        """Keep the state in the place of the one before; return why it could not be kept, or None."""

    def remove(self) -> None:
        """Keep nothing any more."""


class Shards(Protocol):
    """Keeps what is embedded in one run of an ingest, so that an interrupted one need not embed it again."""

    def find(self, name: str) -> Tensors | None:
        """Return what an interrupted run has kept as ``name``, or None."""

    def keep(self, name: str, arrays: Tensors) -> str | None:
        """Keep float32 and int64 arrays from time to time; return, once, why they cannot be kept."""

    def remove(self) -> None:
        """Keep nothing any more."""


class Artefacts(Protocol):
    """The files of one published generation, verified against its manifest before they are used."""

    @property
    def generation(self) -> Generation:
        """The generation that these files belong to."""

    @property
    def index_files(self) -> Sequence[str]:
        """Names of the files that the search index is in."""

    @property
    def config(self) -> Mapping[str, Any]:
        """The settings recorded when the generation was built."""

    def names(self) -> Sequence[str]:
        """Names of all files that a draft writes; what the store adds by itself is not among them."""

    def read_tensors(self, name: str) -> dict[str, NDArray[Any]]:
        """Return the named arrays of a safetensors file.

        Raises:
            CorruptIndex: the file is missing or differs from the manifest.
        """

    def read_json(self, name: str) -> Any:  # noqa: ANN401 - a JSON document
        """Return a parsed JSON file; raises as :meth:`read_tensors`."""


class Draft(Protocol):
    """A generation being built. Nothing of it can be seen until :meth:`publish` returns."""

    generation_id: int
    task_id: int
    first_category_id: int
    first_item_id: int

    def write_tensors(self, name: str, tensors: Tensors) -> None:
        """Write a safetensors file and make it durable."""

    def write_json(self, name: str, document: object) -> None:
        """Write a JSON file and make it durable."""

    def write_bytes(self, name: str, content: bytes) -> None:
        """Write a file and make it durable."""

    def write_index(
        self, ids: NDArray[np.int64], vectors: NDArray[np.float32], *, thin: bool = False
    ) -> None:
        """Write the search index over ``vectors`` (N, D) with ``ids`` (N,).

        ``thin``: the parent's index holds these very vectors, and others that may stay in its file.
        """

    @property
    def takes_views(self) -> bool:
        """Whether :meth:`write_view_index` makes an index of the kind that the workspace wants."""

    def wants_views(self, items: int) -> bool:
        """Whether a gallery of so many items is large enough for such an index, and it is of that kind."""

    def write_view_index(self, parts: Sequence[ViewPart]) -> None:
        """Write a search index that keeps no vectors: it computes them from features.

        Args:
            parts: one or more; their files were written or taken over before.
        """

    def inherit(self, name: str) -> None:
        """Take an unchanged file over from the parent generation without copying it."""

    def keep_query_copy(self, record: ImageRecord) -> None:
        """Keep the workspace's own copy of a query image, addressed by its content."""

    def publish(self, publication: Publication, config: Mapping[str, Any]) -> Generation:
        """Check the files through the reader's own code, then make the generation live, all or nothing.

        One with a ``refusal`` is kept beside the live one instead, until the next publication.
        """

    def publish_refresh(self, refresh: GalleryRefresh, config: Mapping[str, Any]) -> Generation:
        """Make a generation live that is its parent with other vectors; as :meth:`publish` else."""

    def publish_addition(self, addition: Publication, config: Mapping[str, Any]) -> Generation:
        """Make a generation live that is its parent with further images; as :meth:`publish` else."""

    def publish_deletion(self, deletion: Deletion, config: Mapping[str, Any]) -> Generation:
        """Make a generation live that is its parent without some images; as :meth:`publish` else."""

    def abandon(self) -> None:
        """Remove what was written; the generation id is never used again."""


class Store(Protocol):
    """The workspace as its one writer sees it."""

    def head(self) -> Generation | None:
        """The live generation, or None before the first task."""

    def open_generation(self, generation: Generation) -> Artefacts:
        """Open a published generation's files."""

    def category_ids(self) -> dict[str, int]:
        """All visible categories, name to id."""

    def find_by_hash(self, hashes: Sequence[str]) -> dict[str, CatalogItem]:
        """Visible items whose content is one of ``hashes``, by hash."""

    def items(self, item_ids: Sequence[int]) -> dict[int, CatalogItem]:
        """Visible items by id."""

    def tags_seeing(self, item_ids: Sequence[int]) -> list[str]:
        """Names of tagged generations that see one of ``item_ids``, and so keep it."""

    def query_items(self, per_task: int | None = None) -> list[CatalogItem]:
        """Visible query items, ordered by id: at most ``per_task`` of each task, always the same ones."""

    def gallery_labels(self) -> GalleryLabels:
        """Category and task of every visible gallery item."""

    def query_copy_path(self, content_hash: str) -> str:
        """Where the workspace's copy of a query image lies."""

    def tasks(self) -> list[TaskSummary]:
        """The tasks that the live generation's lineage has learned, oldest first."""

    def additions(self) -> list[TaskSummary]:
        """What was added to it without learning, oldest first; such numbers of tasks stand on items only."""

    def checkpoints(self, key: str) -> Checkpoints:
        """Where the training run that ``key`` stands for is kept; no longer than to the next publication."""

    def shards(self, key: str) -> Shards:
        """Where what that run embeds is kept; no longer than to the next publication."""

    def begin(self, task_name: str) -> Draft:
        """Start the next generation under the writer lock."""
