"""Forth and back through MobileNetV2 in bfloat16: with layers exchanged as cdml does, and with torch's own.

All arms have the network of a workspace: channels last, batch norm folded, memory kept. They differ in the
layers of :mod:`continual_dml.embedding.processor_layers` and in the precision.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.network_weights import our_embedder, write_weights
from benchmarks.side_by_side.answers import close_directions
from benchmarks.side_by_side.rows import Arm, Row, Sizes, Target, Work

NETWORK = "mobilenet_v2"
APART = 0.005
"""In cosine: 8 bits of mantissa in each of fifty layers, against 24, turn an embedding by 0.002; the nearest
two of these images lie 0.02 apart."""


def prepare(folder: Path, sizes: Sizes) -> None:
    """Write the weights."""
    del sizes
    write_weights(folder, NETWORK)


def trained(folder: Path, sizes: Sizes) -> Work:
    """A batch through the network and back; its weights stay as they are."""
    import torch

    from continual_dml.embedding import embedder
    from continual_dml.embedding.freed_memory import freed_memory_kept
    from continual_dml.embedding.precision import choose_compute

    if not sizes["exchanged"]:
        vars(embedder)["use_processor_layers"] = lambda backbone: None
    network = our_embedder(folder, NETWORK, sizes["side"]).train()
    compute = choose_compute("cpu", sizes["precision"])
    shape = (sizes["images"], 3, sizes["side"], sizes["side"])
    images = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    images = images.contiguous(memory_format=torch.channels_last)

    def run() -> dict[str, Any]:
        network.zero_grad(set_to_none=True)
        with freed_memory_kept():
            with compute.autocast():
                seen = network(images)
            (seen.embeddings @ seen.embeddings.T).square().mean().backward()
        return {"features": seen.embeddings.detach()}

    return Work(run)


_OWN, _FULL = "torch's own layers, bf16", "torch's own layers, fp32"

ROWS = (
    Row(
        name="training_step",
        title="forth and back, mobilenet_v2 at 128 px, 60 images, bf16",
        arms=(
            Arm("ours", f"{__name__}:trained", options={"exchanged": True, "precision": "bf16"}),
            Arm(_OWN, f"{__name__}:trained", options={"exchanged": False, "precision": "bf16"}),
            Arm(_FULL, f"{__name__}:trained", options={"exchanged": False, "precision": "fp32"}),
        ),
        targets=(Target(against=_OWN, at_least=1.5), Target(against=_FULL, at_least=1.3)),
        same=close_directions(APART),
        prepare=prepare,
        sizes={"side": 128, "images": 60},
    ),
)
