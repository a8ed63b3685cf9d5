"""A folder of photos to features, end to end, against a script with a DataLoader and an evaluation loop.

Ours is what embeds a gallery anew: files are read, checked against the hash that the catalogue knows, decoded
and embedded, and an interrupted run could go on. The network is ResNet-18 at 224 pixels with random weights.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.network_weights import our_embedder, peer_network, write_weights
from benchmarks.peer_photos import TRANSFORMS, PhotoFiles, loader
from benchmarks.photos import make_photos
from benchmarks.rows.decode_small import photo_paths
from benchmarks.side_by_side.answers import close_directions
from benchmarks.side_by_side.rows import Arm, Row, Sizes, Target, Work

if TYPE_CHECKING:
    from typing import Any

NETWORK = "resnet18"
APART = 0.02
"""Of the cosine: photos are resized in two ways, and computed with 8 or 24 bits."""


def prepare(folder: Path, sizes: Sizes) -> None:
    """Make photos and weights."""
    make_photos(folder, sizes["photos"], sizes["megapixels"])
    write_weights(folder, NETWORK)


def ours(folder: Path, sizes: Sizes) -> Work:
    """The way of ``cdml refresh``."""
    import hashlib

    from continual_dml.embedding.freed_memory import freed_memory_kept
    from continual_dml.embedding.precision import choose_compute
    from continual_dml.ports import SilentListener
    from continual_dml.settings import StreamSettings
    from continual_dml.workflows.embed_files import embed_files
    from streams.image_reader import ThreadedImageReader

    paths = photo_paths(folder)
    hashes = [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in paths]
    embedders = [our_embedder(folder, NETWORK, sizes["side"])]
    compute = choose_compute("cpu", "auto")
    reader = ThreadedImageReader(sizes["stored"], StreamSettings())

    def run() -> dict[str, Any]:
        with freed_memory_kept():
            features, _ = embed_files(paths, hashes, embedders, compute, reader, SilentListener())
        return {"features": features}

    return Work(run, amount=len(paths))


def peer(folder: Path, sizes: Sizes) -> Work:
    """A DataLoader with two workers and a loop."""
    import contextlib

    import torch

    best = sizes["best"]
    model = peer_network(folder, NETWORK)
    transform = TRANSFORMS["best" if best else "usual"](sizes["stored"], sizes["side"])
    photos = loader(PhotoFiles(photo_paths(folder), transform), best=best)
    layout = torch.channels_last if best else torch.contiguous_format
    model = model.to(memory_format=layout)

    def run() -> dict[str, Any]:
        without = torch.inference_mode() if best else torch.no_grad()
        cast = torch.autocast("cpu", torch.bfloat16) if sizes.get("bf16") else contextlib.nullcontext()
        with without, cast:
            found = [model(batch.contiguous(memory_format=layout)).float() for batch in photos]
            return {"features": torch.cat(found)}

    return Work(run, amount=len(photo_paths(folder)))


_USUAL, _BEST = "script", "script, best settings"
_CAST = "script, best settings, bf16 autocast"
_PEERS = {_USUAL: {"best": False}, _BEST: {"best": True}, _CAST: {"best": True, "bf16": True}}

ROWS = (
    Row(
        name="embed_folder",
        title="a folder of photos to features, ResNet-18 at 224 px",
        unit="images",
        arms=(
            Arm("ours", f"{__name__}:ours"),
            *(Arm(name, f"{__name__}:peer", peer=True, options=told) for name, told in _PEERS.items()),
        ),
        targets=(
            Target(against=_USUAL, at_least=2.5),
            Target(against=_BEST, at_least=2.5),
            Target(against=_CAST, at_least=1.0),
        ),
        same=close_directions(APART),
        prepare=prepare,
        sizes={"photos": 256, "megapixels": 0.2, "stored": 252, "side": 224},
        quick={"photos": 64},
        limits=(
            "The network is nine tenths of the time, and both run oneDNN's convolutions. Tried: reading the "
            "next block while the network works, which on two cores takes from it what it gives."
        ),
    ),
)
