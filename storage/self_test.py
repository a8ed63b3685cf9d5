"""What a generation must prove before it may go live, read back from the disk as a reader would."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from continual_dml.errors import SelfTestFailed
from continual_dml.records import PartCount
from storage.artefacts import PublishedArtefacts
from storage.index.stored import StoredIndex
from storage.verified_files import sha256_of

_SAMPLES = 64
_TOLERANCE = 1e-4
_MOST_MISSES = 10  # one in so many


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Some of the vectors that were given to the index: ``ids`` (n,) and ``vectors`` (n, D)."""

    ids: NDArray[np.int64]
    vectors: NDArray[np.float32]


def sample_of(ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> Sample:
    """Return up to 64 of the pairs, evenly spread."""
    chosen = sample_places(len(ids))
    return Sample(ids[chosen].copy(), vectors[chosen].copy())


def sample_places(size: int) -> NDArray[np.int64]:
    """Return up to 64 of the numbers from 0 to ``size``, ascending and evenly spread."""
    count = min(_SAMPLES, size)
    return np.linspace(0, size - 1, count).astype(np.int64) if count else np.empty(0, dtype=np.int64)


def hash_of_ids(ids: NDArray[np.int64]) -> str:
    """Return the SHA-256 of the ids, sorted, as little-endian 64-bit numbers."""
    return sha256_of(np.sort(ids).astype("<i8").tobytes())


def run_self_test(
    artefacts: PublishedArtefacts,
    gallery_ids: Sequence[int] | NDArray[np.int64],
    parts: Sequence[PartCount],
    sample: Sample | None,
) -> StoredIndex:
    """Accept the files of a generation that is about to go live, for the first time or again.

    Args:
        artefacts: its files; those that are proved are not read again.
        gallery_ids: every gallery item that the catalogue will show.
        parts: what the catalogue will say about their vectors.
        sample: vectors that must find themselves; None where none were just given to the index.

    Returns:
        Its index, opened on the way.

    Raises:
        SelfTestFailed: something does not agree; the message says what, for the caller to say what follows.
        CorruptIndex: a file reads back differently from what was written.
    """
    index = artefacts.open_index(afresh=True)
    if hash_of_ids(index.ids) != artefacts.manifest.index.ids_sha256:
        raise SelfTestFailed("the index holds other ids than its manifest says")
    if not np.array_equal(np.sort(index.ids), np.sort(np.asarray(gallery_ids, dtype=np.int64))):
        raise SelfTestFailed(
            f"the index holds {len(index)} items, the catalogue {len(gallery_ids)}, or other ones"
        )
    counted = sum(part.items for part in parts)
    if counted != len(index):
        raise SelfTestFailed(f"the gallery parts count {counted} items, the index {len(index)}")
    if sample is not None:
        _find_themselves(index, sample, misses=0 if index.exact else len(sample.ids) // _MOST_MISSES)
    for name in sorted({*artefacts.all_names()} - {*artefacts.manifest.index.reads} - artefacts.proved):
        if name.endswith(".safetensors"):
            _check_finite(name, artefacts.read_tensors(name))
        elif name != artefacts.manifest.index.file:
            artefacts.read_bytes(name)
    return index


def _find_themselves(index: StoredIndex, sample: Sample, misses: int) -> None:
    """Ask with vectors that were just indexed; an approximate index may miss a few of them."""
    found = index.search(sample.vectors, 1 + _SAMPLES)
    for position, item_id in enumerate(sample.ids):
        row = found.similarities[position]
        self_similarity = float(sample.vectors[position] @ sample.vectors[position])
        listed = item_id in found.ids[position]
        crowded_out = len(index) > len(row) and row[-1] >= self_similarity - _TOLERANCE  # many equal images
        if abs(float(row[0]) - self_similarity) > _TOLERANCE or not (listed or crowded_out):
            misses -= 1
            if misses < 0:
                raise SelfTestFailed(f"item {int(item_id)} does not find itself in the index")


def _check_finite(name: str, tensors: dict[str, NDArray[Any]]) -> None:
    for key, array in tensors.items():
        if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
            raise SelfTestFailed(f"{key} in {name} holds values that are not finite")
