"""The model as one ONNX file, weights inside, and what ONNX Runtime makes of it."""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from continual_dml.errors import CdmlError
from continual_dml.interchange import CARD_KEY, METRIC, ModelCard, preparation
from storage.exports.destinations import from_extra

if TYPE_CHECKING:
    from torch.export import ExportedProgram

INPUT, OUTPUTS = "squares", ("embedding", "feature")
_MOST_BYTES = (2 << 30) - (16 << 20)
"""A protobuf message holds 2 GB; the rest is for the graph itself."""


def require_onnx() -> None:
    """Find out before any work that ONNX cannot be written.

    Raises:
        SettingsError: the packages are missing.
    """
    from_extra(_import_onnx, "export", "writing ONNX")


def _import_onnx() -> None:
    import onnx  # noqa: F401
    import onnxscript  # noqa: F401


def onnx_bytes(graph: ExportedProgram, card: ModelCard) -> bytes:
    """Return ``graph`` as ONNX, its number of squares free, its weights inside, described by its metadata.

    Args:
        graph: from squares (B, S, S, 3) uint8 to embeddings (B, D) and features (B, F).
        card: whose model it is.

    Raises:
        CdmlError: it is too large for one file, or ONNX has no words for it.
    """
    size = sum(tensor.nbytes for tensor in [*graph.state_dict.values(), *graph.constants.values()]
               if hasattr(tensor, "nbytes"))  # fmt: skip
    if size > _MOST_BYTES:
        raise CdmlError(
            f"the weights are {size / 1e9:.1f} GB, and one ONNX file holds 2: export FILE.pt2 instead"
        )
    proto = _converted(graph, card)
    proto.doc_string = "Squares of pictures to unit vectors, by cdml. " + preparation(card)["words"]
    for key, value in _metadata(card).items():
        entry = proto.metadata_props.add()
        entry.key, entry.value = key, value
    content: bytes = proto.SerializeToString()
    return content


def _converted(graph: ExportedProgram, card: ModelCard) -> Any:  # noqa: ANN401 - an onnx.ModelProto
    import torch

    batch = torch.export.Dim("batch")
    with warnings.catch_warnings():
        # Of torch's own way to copy a graph; nothing that a caller could do otherwise.
        warnings.filterwarnings(
            "ignore", message=r"`isinstance\(treespec, LeafSpec\)`", category=FutureWarning
        )
        try:
            program = torch.onnx.export(
                graph,
                input_names=[INPUT],
                output_names=list(OUTPUTS),
                dynamic_shapes={INPUT: {0: batch}},
                dynamo=True,
                verbose=False,
            )
        except Exception as error:  # the exporter raises almost any type
            reason = str(error).strip().splitlines()[0]
            raise CdmlError(
                f"ONNX has no words for {' and '.join(card.backbones)}: {reason}; export FILE.pt2 instead"
            ) from error
    if program is None:
        raise CdmlError("torch gave no ONNX program; export FILE.pt2 instead")
    return program.model_proto


def _metadata(card: ModelCard) -> dict[str, str]:
    """Return what stands in the file beside the graph: the card for machines, the rest for people too."""
    prepared = preparation(card)
    return {
        CARD_KEY: card.as_text(),
        "cdml_version": card.cdml_version,
        "generation": str(card.generation),
        "manifest_sha256": card.manifest_sha256,
        "model_sha256": card.model_sha256,
        "embedding_dimension": str(card.embedding_dimension),
        "feature_dimension": str(card.feature_dimension),
        "stored_side_pixels": str(card.stored_side_pixels),
        "metric": METRIC,
        "preprocessing": prepared["words"],
        "preprocessing_json": json.dumps(prepared, sort_keys=True),
        "normalisation": "embedding: each row has length 1; feature: none",
        "contents": "the model alone: no categories, no names, no vectors of images",
    }


def run_onnx(content: bytes, squares: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return what ONNX Runtime makes of ``squares`` (N, S, S, 3) on the CPU: (N, D) and (N, F).

    Raises:
        ImportError: ONNX Runtime is not installed.
        CdmlError: it cannot run the model.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # what goes wrong is raised; the rest is of no use to anybody
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        embedding, feature = session.run(list(OUTPUTS), {INPUT: squares})
    except Exception as error:  # its errors have no common type
        reason = str(error).strip().splitlines()[0]
        raise CdmlError(
            f"ONNX Runtime cannot run the exported model: {reason}; nothing was written"
        ) from error
    return embedding, feature
