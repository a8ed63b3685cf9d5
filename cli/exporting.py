"""Exports: what ``cdml export`` puts together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from continual_dml.interchange import ModelCard
    from continual_dml.ports import ProgressListener
    from continual_dml.workflows.export_model import ModelToExport
    from storage.durable import FileEntry
    from storage.exports.gallery_rows import GalleryRows
    from storage.filters import Filter
    from storage.reader import WorkspaceReader
    from storage.workspace import Workspace

    Run = Callable[[bytes, NDArray[np.uint8]], tuple[NDArray[np.float32], NDArray[np.float32]]]

_COMPARED = 12
_MODELS = (".onnx", ".pt2")


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What ``cdml export`` was asked for; ``generation`` and ``where`` are None where not given."""

    destination: Path
    generation: str | None = None
    where: Filter | None = None
    with_features: bool = False


@dataclass(frozen=True, slots=True)
class Parity:
    """How far an exported model is from the workspace's own, on ``images`` squares.

    ``embedding``: the largest difference of two numbers of unit vectors; ``feature``: the largest distance of
    two features as a share of their length; ``of_items``: whether the squares are images of the gallery.
    """

    images: int
    of_items: bool
    embedding: float
    feature: float


@dataclass(frozen=True, slots=True)
class ExportOutcome:
    """The written file, whose model's it is, and of a gallery its ``items``, of a model its ``parity``.

    ``without_feature``: how many items have none in the file, because an earlier model gave it; ``parity`` is
    None where nothing could run the exported model.
    """

    entry: FileEntry
    card: ModelCard
    items: int | None = None
    without_feature: int = 0
    parity: Parity | None = None


def run_export(request: ExportRequest, workspace: Workspace, listener: ProgressListener) -> ExportOutcome:
    """Write a generation's model or gallery into a new file; on any error nothing is left.

    Raises:
        SettingsError: a destination that cannot be, options that do not go with it, or a missing extra.
        CatalogError: nothing is ingested yet, or the generation's files are not kept.
        CorruptIndex: a file of the generation is damaged.
        CdmlError: the exported model does not compute what the workspace's does.
    """
    from continual_dml.errors import SettingsError
    from storage.exports.destinations import kind_of
    from storage.reader import WorkspaceReader

    kind = kind_of(request.destination)
    if kind in _MODELS and (request.where is not None or request.with_features):
        raise SettingsError(
            f"{request.destination} will hold a model: --where and --features are for .parquet and .npz"
        )
    _require_packages(kind)
    with WorkspaceReader(workspace, request.generation) as reader:
        export = _export_model if kind in _MODELS else _export_items
        return export(request, kind, reader, listener)


def _require_packages(kind: str) -> None:
    if kind == ".onnx":
        from storage.exports.onnx_model import require_onnx

        require_onnx()
    elif kind == ".parquet":
        from storage.exports.parquet_items import require_parquet

        require_parquet()


def _export_model(
    request: ExportRequest, kind: str, reader: WorkspaceReader, listener: ProgressListener
) -> ExportOutcome:
    from continual_dml.workflows.export_model import model_to_export
    from storage.exports.destinations import write_new
    from storage.exports.onnx_model import onnx_bytes, run_onnx
    from storage.exports.torch_program import run_program, torch_bytes

    listener.start("exporting the model", 3)
    model = model_to_export(reader.artefacts, reader.index().dimension)
    listener.advance()
    content = (onnx_bytes if kind == ".onnx" else torch_bytes)(model.graph, model.card)
    listener.advance()
    run: Run = run_onnx if kind == ".onnx" else run_program
    try:
        parity = _compared(model, content, run, reader)
    except ImportError:
        parity = None
        listener.note("not compared with the workspace's own model: onnxruntime is not installed")
    listener.advance()
    return ExportOutcome(write_new(request.destination, content), model.card, parity=parity)


def _compared(model: ModelToExport, content: bytes, run: Run, reader: WorkspaceReader) -> Parity:
    """Compare the exported model with the workspace's, on images of the gallery where some are left.

    Raises:
        CdmlError: they differ by more than rounding.
    """
    import numpy as np

    from cli.wiring import image_reader
    from continual_dml.errors import CdmlError
    from continual_dml.workflows.export_model import (
        FEATURE_TOLERANCE,
        TOLERANCE,
        batches_of,
        random_squares,
    )

    ids = np.sort(reader.index().ids)[: _COMPARED * 4]
    items = list(reader.items(ids.tolist()).values())[:_COMPARED]
    squares, _ = image_reader(reader.workspace.settings).read(
        [item.path for item in items], [item.content_hash for item in items]
    )
    of_items = len(squares) > 0
    if not of_items:
        squares = random_squares(_COMPARED, model.card.stored_side_pixels)
    embedding = feature = 0.0
    for batch in batches_of(squares):
        expected, found = model.expected(batch), run(content, batch)
        embedding = max(embedding, float(np.abs(found[0] - expected[0]).max()))
        lengths = np.maximum(np.linalg.norm(expected[1], axis=1), 1e-12)
        feature = max(feature, float((np.linalg.norm(found[1] - expected[1], axis=1) / lengths).max()))
    if not (embedding <= TOLERANCE and feature <= FEATURE_TOLERANCE):
        raise CdmlError(
            f"the exported model is not the workspace's: vectors differ by {embedding:.2g} (up to "
            f"{TOLERANCE:g} would be rounding), features by {feature:.2g}; nothing was written, please "
            "report the backbone and the versions of torch and onnxruntime"
        )
    return Parity(len(squares), of_items, embedding, feature)


def _export_items(
    request: ExportRequest, kind: str, reader: WorkspaceReader, listener: ProgressListener
) -> ExportOutcome:
    from continual_dml.embedding.cohort import restore_members
    from continual_dml.settings import Settings
    from continual_dml.strategies.state import group_name
    from continual_dml.workflows.export_model import card_of
    from storage.exports.destinations import write_new
    from storage.exports.gallery_rows import gallery_rows
    from storage.exports.numpy_items import npz_pieces
    from storage.exports.parquet_items import parquet_pieces

    model = Settings.from_dict(reader.artefacts.config["settings"]).model
    weights = [
        reader.artefacts.read_tensors(f"{group_name('model', number)}.safetensors")
        for number in range(model.cohort)
    ]
    card = card_of(restore_members(model, weights), reader.artefacts, reader.index().dimension)
    counted = _Counted()

    def rows() -> Iterator[GalleryRows]:
        counted.items = counted.without_feature = 0
        for some in gallery_rows(reader, request.where):
            counted.take(some)
            yield some
            listener.advance(len(some.rows))

    listener.start("exporting the gallery", len(reader.index()) if request.where is None else 0)
    wanted = request.with_features
    pieces = (
        parquet_pieces(rows(), card, with_features=wanted)
        if kind == ".parquet"
        else npz_pieces(rows, card, with_features=wanted)
    )
    entry = write_new(request.destination, pieces)
    return ExportOutcome(entry, card, counted.items, counted.without_feature if wanted else 0)


@dataclass(slots=True)
class _Counted:
    items: int = 0
    without_feature: int = 0

    def take(self, rows: GalleryRows) -> None:
        self.items += len(rows.rows)
        if rows.state.value != "fresh":
            self.without_feature += len(rows.rows)
