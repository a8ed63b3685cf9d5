"""Features of photos that lie in memory: the network alone, on the processor.

Ours starts from the stored uint8 squares and normalises them; the peers have normalised tensors ready. With
MobileNetV2, both networks' features of real photos are compared by Recall@1 too.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.network_weights import our_embedder, peer_network, write_weights
from benchmarks.peer_photos import BATCH, MEAN, STD
from benchmarks.photos import unpack_photos
from benchmarks.side_by_side.answers import close_directions
from benchmarks.side_by_side.rows import Arm, Row, Sizes, Target, Work

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

FOLDED = 1e-4
"""Of the cosine that features may lie apart in fp32: other orders of the same sums."""
ROUNDED = 1e-2
"""The same of the worst photo with 8 bits of mantissa in each of fifty layers; Recall@1 is what counts."""


def prepare(folder: Path, sizes: Sizes) -> None:
    """Make weights, and decode real photos to squares; the first ones of all categories are timed."""
    import numpy as np

    from continual_dml.settings import StreamSettings
    from streams.image_reader import ThreadedImageReader

    write_weights(folder, sizes["network"])
    unpack_photos(folder, sizes["categories"], sizes["per_category"])
    for role in ("train", "test"):
        paths = sorted((folder / role).glob("*/*.jpg"))
        squares, kept = ThreadedImageReader(sizes["stored"], StreamSettings()).read([str(p) for p in paths])
        names = np.array([paths[row].parent.name for row in kept])
        order = np.random.default_rng(0).permutation(len(kept))
        np.savez(folder / f"{role}.npz", squares=squares[order], categories=names[order])


def ours(folder: Path, sizes: Sizes) -> Work:
    """Feature extraction as every command does it."""
    from continual_dml.embedding.extract import extract
    from continual_dml.embedding.freed_memory import freed_memory_kept
    from continual_dml.embedding.precision import choose_compute

    model = our_embedder(folder, sizes["network"], sizes["side"])
    compute = choose_compute("cpu", sizes["precision"])

    def features(squares: NDArray[np.uint8]) -> NDArray[np.float32]:
        with freed_memory_kept():
            return extract(model, squares, compute).features

    timed = _squares(folder, "train")[0][: sizes["photos"]]
    recall = _recall(folder, features) if sizes["recall"] else None
    return Work(lambda: {"features": features(timed)}, amount=len(timed), figures=recall)


def peer(folder: Path, sizes: Sizes) -> Work:
    """An evaluation loop in PyTorch."""
    import contextlib

    import numpy as np
    import torch

    model = peer_network(folder, sizes["network"])
    best, bf16 = sizes["best"], sizes.get("bf16", False)
    if best:
        model = model.to(memory_format=torch.channels_last)

    def tensors(squares: NDArray[np.uint8]) -> list[torch.Tensor]:
        edge = (squares.shape[1] - sizes["side"]) // 2
        middle = torch.from_numpy(squares[:, edge : edge + sizes["side"], edge : edge + sizes["side"]])
        images = (middle.permute(0, 3, 1, 2) / 255 - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[
            :, None, None
        ]
        layout = torch.channels_last if best else torch.contiguous_format
        return list(torch.split(images.contiguous(memory_format=layout), BATCH))

    def features(batches: list[torch.Tensor]) -> NDArray[np.float32]:
        without = torch.inference_mode() if best else torch.no_grad()
        cast = torch.autocast("cpu", torch.bfloat16) if bf16 else contextlib.nullcontext()
        with without, cast:
            found = [model(batch).flatten(1).float().numpy() for batch in batches]
        return np.concatenate(found)

    timed = tensors(_squares(folder, "train")[0][: sizes["photos"]])
    recall = _recall(folder, lambda squares: features(tensors(squares))) if sizes["recall"] else None
    return Work(lambda: {"features": features(timed)}, amount=sizes["photos"], figures=recall)


def _squares(folder: Path, role: str) -> tuple[Any, Any]:
    import numpy as np

    with np.load(folder / f"{role}.npz") as found:
        return found["squares"], found["categories"]


def _recall(
    folder: Path, features: Callable[[NDArray[np.uint8]], NDArray[np.float32]]
) -> Callable[[], dict[str, float]]:
    """Return what tells the Recall@1 of test photos among training photos, in percent; computed once."""
    import numpy as np

    units, names = [], []
    for role in ("test", "train"):
        squares, categories = _squares(folder, role)
        vectors = np.concatenate([features(squares[row : row + 512]) for row in range(0, len(squares), 512)])
        units.append(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
        names.append(categories)
    nearest = names[1][(units[0] @ units[1].T).argmax(axis=1)]
    recall = 100 * float((nearest == names[0]).mean())
    return lambda: {"recall_at_1": recall}


def _row(network: str, side: int, precision: str, *, recall: bool) -> Row:
    usual, best, cast = "eager loop", "eager loop, best settings", "eager loop, best settings, bf16 autocast"
    peers = {usual: {"best": False}, best: {"best": True}}
    if precision == "auto":
        peers[cast] = {"best": True, "bf16": True}
    aim = 2.5 if precision == "auto" else 1.4
    targets = [Target(against=usual, at_least=aim), Target(against=best, at_least=aim)]
    if precision == "auto":
        targets.append(Target(against=cast, at_least=1.0))
    if recall:  # 0.1 point of about 50
        targets.append(Target("recall_at_1", against=usual, at_least=0.998, inverse=True))
    title = f"forward, {network} at {side} px, {'bf16' if precision == 'auto' else 'fp32'}"
    return Row(
        name=f"forward_{network}_{'bf16' if precision == 'auto' else 'fp32'}",
        title=title,
        unit="images",
        arms=(
            Arm("ours", f"{__name__}:ours", options={"precision": precision}),
            *(Arm(name, f"{__name__}:peer", peer=True, options=told) for name, told in peers.items()),
        ),
        targets=tuple(targets),
        same=close_directions(ROUNDED if precision == "auto" else FOLDED),
        prepare=prepare,
        sizes={
            "network": network,
            "side": side,
            "stored": round(side * 1.125),
            "photos": 256 if side < 200 else 128,
            "categories": 81 if recall else 20,
            "per_category": 100 if recall else 10,
            "recall": recall,
        },
        quick={"photos": 128 if side < 200 else 64, "categories": 20, "per_category": 10},
        limits=(
            "Both run the same convolutions of oneDNN, most of the time; what ours saves over the best "
            "settings is batch norm, folded into them, and memory that is kept."
        ),
    )


ROWS = (
    _row("mobilenet_v2", 128, "auto", recall=True),
    _row("mobilenet_v2", 128, "fp32", recall=False),
    _row("resnet18", 224, "auto", recall=False),
    _row("resnet18", 224, "fp32", recall=False),
)
