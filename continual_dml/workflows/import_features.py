"""Enrol images that were embedded elsewhere: their features are taken over, once they prove to be ours."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from continual_dml.embedding.extract import Extracted, extract_each, side_by_side
from continual_dml.embedding.precision import Compute
from continual_dml.errors import CatalogError, EmptyTask, StreamError
from continual_dml.interchange import EmbeddedTask, ModelCard
from continual_dml.ports import ImageReader, ProgressListener, Store
from continual_dml.records import QuarantinedFile
from continual_dml.report_pages import ReportPainter
from continual_dml.settings import Settings
from continual_dml.strategies.heads import TrainedHead
from continual_dml.strategies.state import LearnerState
from continual_dml.workflows.add_items import AddResult, add_items
from continual_dml.workflows.export_model import card_of
from continual_dml.workflows.live_model import LiveModel, require_same_model, settings_of, unmoved_model
from continual_dml.workflows.plan_task import TaskPlan, plan_addition, require_model

SAMPLE = 16
"""So many images that are there are embedded again."""
TYPICAL, FARTHEST = 0.10, 0.25
"""How far features may be from ours, as a share of their length: the median of the sample, and any of it.

bfloat16 on either side moves them by a twentieth, and a JPEG decoded at another scale now and then by a
sixth; another filter or crop moves most of them by more than a tenth (``python -m
benchmarks.prepared_otherwise``)."""
FARTHEST_EMBEDDING = 0.02
_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class Proof:
    """How the file shows that its features are the live model's.

    ``named``: it says so; ``sampled`` images were embedded again, and their features are ``typical`` of their
    length away in the median, at most ``farthest`` (0 where none was).
    """

    named: bool
    sampled: int
    typical: float
    farthest: float


@dataclass(frozen=True, slots=True, eq=False)
class ImportPlan:
    """What an import would do: the ``features`` (N, F) belong to ``plan.task.records``."""

    plan: TaskPlan
    features: NDArray[np.float32]
    proof: Proof


def plan_import(
    embedded: EmbeddedTask, store: Store, reader: ImageReader, settings: Settings, listener: ProgressListener
) -> ImportPlan:
    """Compare a file of features with the live model and with the catalogue; nothing is changed.

    The file must name the live model, or images of it must be there to embed again and compare. Where it
    names the model, images that are there are compared all the same, since they may have been prepared in
    another way. Rows whose embedding is not what the live head makes of their feature are left out.

    Args:
        embedded: the file's usable rows.
        store: the workspace.
        reader: decodes images that are there.
        settings: where to compute.
        listener: told of the progress.

    Raises:
        CatalogError: no task is learned yet, or the file names another model.
        StreamError: the features are not what the live model gives, or nothing shows whose they are.
        AlreadyIngested: none of the images is new.
        EmptyTask: no row is left.
    """
    parent = store.open_generation(require_model(store))
    require_same_model(parent.config, settings)
    model = unmoved_model(parent, parent.generation.generation_id, settings_of(parent, settings))
    dimension = model.head(np.zeros((1, _feature_dimension(model)), dtype=np.float32)).shape[1]
    card = card_of(model.embedders, parent, dimension)
    _require_this_model(embedded, card)
    proof = _proof(embedded, model, reader, listener)
    same_head = embedded.card is None or embedded.card.head_sha256 == card.head_sha256
    kept = _with_own_embeddings(embedded, model) if same_head else embedded
    return ImportPlan(plan_addition(kept.task, store, listener), kept.features, proof)


def import_features(
    planned: ImportPlan,
    store: Store,
    settings: Settings,
    listener: ProgressListener,
    painter: ReportPainter | None = None,
) -> AddResult:
    """Publish the live generation with the images of a plan, as ``add_items`` does; raises as it does."""

    def seen(model: LiveModel) -> list[Extracted]:
        own = planned.features[planned.plan.gallery_rows]
        return extracted_from(own, model.state, square_root=settings.model.takes_square_root)

    return add_items(planned.plan, store, settings, listener, painter, seen)


def extracted_from(
    features: NDArray[np.float32], state: LearnerState, *, square_root: bool
) -> list[Extracted]:
    """Return what each network of ``state`` made of images whose stored features (N, sum of F) are given.

    Its raw outputs (N, D), which class statistics are taken of as well, are its projection of the feature.
    """
    found = []
    for member, columns in state.columns():
        projection = TrainedHead(member.weights["projection.weight"], square_root)
        outputs = np.empty((len(features), len(projection.weight)), dtype=np.float32)
        for start in range(0, len(features), _AT_ONCE):
            rows = slice(start, start + _AT_ONCE)
            outputs[rows] = projection.lengthy(features[rows, columns])
        found.append(Extracted(np.ascontiguousarray(features[:, columns]), outputs))
    return found


def _feature_dimension(model: LiveModel) -> int:
    return sum(embedder.feature_dim for embedder in model.embedders)


def _require_this_model(embedded: EmbeddedTask, live: ModelCard) -> None:
    source, said = embedded.task.source, embedded.card
    if said is not None and said.model_sha256 != live.model_sha256:
        raise CatalogError(
            f"{source} was made by the model of a generation {said.generation} ({', '.join(said.backbones)}, "
            f"{said.model_sha256[:12]}), that of the live generation {live.generation} is "
            f"{live.model_sha256[:12]}: features of two models cannot be compared; export the live model "
            "with `cdml export FILE.onnx` and embed the images with that"
        )
    width = embedded.features.shape[1]
    if width != live.feature_dimension:
        raise StreamError(
            f"{source} has features of {width} numbers, the live model's have {live.feature_dimension}: it "
            "is of another model, or it has embeddings in the column 'feature'"
        )
    vectors = embedded.embeddings
    if vectors is not None and vectors.shape[1] != live.embedding_dimension:
        raise StreamError(
            f"{source} has embeddings of {vectors.shape[1]} numbers, the live model's have "
            f"{live.embedding_dimension}: it is of another model"
        )


def _proof(
    embedded: EmbeddedTask, model: LiveModel, reader: ImageReader, listener: ProgressListener
) -> Proof:
    """Embed some of the images again.

    Raises:
        StreamError: a feature is too far off, or there is neither a name of the model nor an image.
    """
    task = embedded.task
    there = [row for row, record in enumerate(task.records) if record.size_bytes]
    chosen = there[:: max(1, -(-len(there) // SAMPLE))]
    listener.start("embedding a sample to compare", len(chosen))
    pixels, found = reader.read(
        [task.records[row].path for row in chosen], [task.records[row].content_hash for row in chosen]
    )
    if not len(found):
        if embedded.card is None:
            raise StreamError(
                f"{task.source} does not say which model made its features, and none of its images is here "
                "to embed again and compare; take over the metadata 'cdml' of the exported model"
            )
        return Proof(True, 0, 0.0, 0.0)
    in_32_bits = Compute(model.compute.device, bf16=False)
    own = side_by_side(extract_each(model.embedders, pixels, in_32_bits, listener))
    rows = np.array(chosen, dtype=np.int64)[found]
    lengths = np.maximum(np.linalg.norm(own, axis=1), 1e-12)
    distances = np.linalg.norm(embedded.features[rows] - own, axis=1) / lengths
    worst, typical = int(distances.argmax()), float(np.median(distances))
    if typical > TYPICAL or distances[worst] > FARTHEST:
        raise StreamError(
            f"{task.source}: features are {typical:.0%} of their length away from what the live model makes "
            f"of the images, that of {task.records[int(rows[worst])].path} {distances[worst]:.0%} (rounding "
            f"is below {TYPICAL:.0%} in the median and {FARTHEST:.0%} at most): another model made them, or "
            "the images were prepared in another way, see the metadata 'preprocessing' of the exported model"
        )
    return Proof(embedded.card is not None, len(rows), typical, float(distances[worst]))


def _with_own_embeddings(embedded: EmbeddedTask, model: LiveModel) -> EmbeddedTask:
    """Return the rows whose embedding is what the live head makes of their feature; the others are told."""
    said, task = embedded.embeddings, embedded.task
    if said is None:
        return embedded
    agrees = np.empty(len(said), dtype=np.bool_)
    for start in range(0, len(said), _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        distances = np.abs(model.head(embedded.features[some]) - said[some]).max(axis=1)
        agrees[some] = distances <= FARTHEST_EMBEDDING
    if agrees.all():
        return embedded
    reason = "its embedding is not what the live model makes of its feature"
    wrong = tuple(QuarantinedFile(task.records[row].path, reason) for row in np.flatnonzero(~agrees))
    if not agrees.any():
        raise EmptyTask(f"no row of {task.source} can be used, first {wrong[0].path}: {reason}")
    rows = np.flatnonzero(agrees)
    left = replace(
        task,
        records=tuple(task.records[int(row)] for row in rows),
        pixels=task.pixels[rows],
        quarantined=task.quarantined + wrong,
    )
    return EmbeddedTask(left, embedded.features[rows], said[rows], embedded.card)
