"""The model of a published generation as one graph, and what there is to say of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch.export import Dim, ExportedProgram

from continual_dml import __version__
from continual_dml.embedding.embedder import Embedder
from continual_dml.embedding.extract import BATCH_IMAGES, extract_each, side_by_side
from continual_dml.embedding.kept_chunks import name_of
from continual_dml.embedding.precision import Compute
from continual_dml.errors import CdmlError
from continual_dml.interchange import ModelCard
from continual_dml.ports import Artefacts
from continual_dml.settings import ModelSettings, Settings
from continual_dml.strategies.served import ServedModel
from continual_dml.strategies.state import group_name
from continual_dml.workflows.search import Searcher

TOLERANCE = 1e-3
"""How far a number of an exported vector may be from the one that a search computes. Heads are computed in
64 bits here and in 32 there, which makes a few millionths; a wrong graph is off by far more."""
FEATURE_TOLERANCE = 1e-3
"""The same of features, as a share of the feature's length."""


@dataclass(frozen=True, slots=True, eq=False)
class ModelToExport:
    """A generation's model: ``graph`` takes any number of squares, and must do as ``searcher`` does."""

    graph: ExportedProgram
    card: ModelCard
    searcher: Searcher

    def expected(self, squares: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return embeddings (N, D) and features (N, F) as a search computes them, in 32 bits, on the CPU."""
        compute = self.searcher.compute
        features = side_by_side(extract_each(self.searcher.embedders, squares, compute))
        return self.searcher.head(features), features


def model_to_export(artefacts: Artefacts, dimension: int) -> ModelToExport:
    """Return the model of a published generation as a graph.

    Args:
        artefacts: the generation's files.
        dimension: length of its vectors.

    Raises:
        CorruptIndex: a file differs from the manifest.
        CdmlError: torch cannot make a graph of the backbone.
    """
    in_32_bits = Compute(torch.device("cpu"), bf16=False)
    searcher = replace(Searcher.open(artefacts, "cpu"), compute=in_32_bits)
    card = card_of(searcher.embedders, artefacts, dimension)
    graph = graph_of(ServedModel(searcher.embedders, searcher.head), card)
    return ModelToExport(graph, card, searcher)


def graph_of(served: ServedModel, card: ModelCard) -> ExportedProgram:
    """Return ``served`` as a graph that takes any number of squares.

    Raises:
        CdmlError: torch cannot make a graph of the backbone.
    """
    side = card.stored_side_pixels
    sample = torch.zeros(
        (2, side, side, 3), dtype=torch.uint8
    )  # a batch of one would be taken for a constant
    try:
        return torch.export.export(served, (sample,), dynamic_shapes={"squares": {0: Dim("batch")}})
    except Exception as error:  # torch raises almost any type where a network cannot be traced
        reason = str(error).strip().splitlines()[0]
        raise CdmlError(
            f"torch cannot make a graph of {' and '.join(card.backbones)}: {reason}; "
            "`cdml export FILE.parquet` exports the vectors all the same"
        ) from error


def card_of(embedders: Sequence[Embedder], artefacts: Artefacts, embedding_dimension: int) -> ModelCard:
    """Return which model ``embedders`` are, the networks of the generation whose files ``artefacts`` are."""
    settings = Settings.from_dict(artefacts.config["settings"])
    model = settings.model
    return ModelCard(
        generation=artefacts.generation.generation_id,
        manifest_sha256=artefacts.generation.manifest_sha256,
        model_sha256=_model_hash(embedders, model),
        head_sha256=_head_hash(artefacts, settings),
        backbones=model.backbones,
        embedding_dimension=embedding_dimension,
        feature_dimension=sum(embedder.feature_dim for embedder in embedders),
        stored_side_pixels=model.stored_side_pixels,
        image_side_pixels=model.image_side_pixels,
        cdml_version=__version__,
    )


def _model_hash(embedders: Sequence[Embedder], model: ModelSettings) -> str:
    decides = {
        "backbones": model.backbones,
        "sides": [model.stored_side_pixels, model.image_side_pixels],
        "square root": model.takes_square_root,
    }
    digest = hashlib.sha256(json.dumps(decides, sort_keys=True).encode())
    digest.update(name_of(embedders, ()).encode())
    return digest.hexdigest()


def _head_hash(artefacts: Artefacts, settings: Settings) -> str:
    """Return a hash of what makes embeddings of features, besides the networks' own projections."""
    digest = hashlib.sha256(f"discriminant {settings.training.uses_statistics_head}".encode())
    for number in range(settings.model.cohort):
        for name, array in sorted(
            artefacts.read_tensors(f"{group_name('head', number)}.safetensors").items()
        ):
            if settings.training.uses_statistics_head or name == "reduction":
                digest.update(f"{name} {array.dtype} {array.shape}".encode())
                digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def random_squares(count: int, side: int) -> NDArray[np.uint8]:
    """Return squares (count, side, side, 3) of smooth noise, always the same, to compare models on."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, size=(count, 5, 5, 3)).astype(np.float64)
    places = np.linspace(0, 4, side)
    low = np.minimum(places.astype(np.int64), 3)
    share = (places - low)[:, None, None]
    rows = coarse[:, low] * (1 - share) + coarse[:, low + 1] * share
    share = share.transpose(1, 0, 2)
    squares = rows[:, :, low] * (1 - share) + rows[:, :, low + 1] * share
    return squares.round().astype(np.uint8)


def batches_of(squares: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Return squares in batches of different sizes, one of them a single square."""
    return [
        squares[:1],
        *(squares[start : start + BATCH_IMAGES] for start in range(1, len(squares), BATCH_IMAGES)),
    ]
