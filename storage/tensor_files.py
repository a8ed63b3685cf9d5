"""Named arrays as safetensors documents: plain numbers behind a bounded header, nothing that can run."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from mmap import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from continual_dml.errors import CorruptIndex
from storage.verified_files import ADVICE

MAX_HEADER_BYTES = 1_000_000
_VIEWED: Mapping[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "I64": np.dtype("<i8"), "U8": np.dtype("u1"),
}  # fmt: skip
Content = bytes | mmap


def render_tensors(tensors: Mapping[str, NDArray[Any]]) -> bytes:
    """Return the safetensors document of ``tensors`` (any shapes, numeric dtypes)."""
    return save({name: np.asarray(array, order="C") for name, array in tensors.items()})


def parse_tensors(content: bytes, where: str) -> dict[str, NDArray[Any]]:
    """Return the named arrays of a document whose hash was checked before.

    Raises:
        CorruptIndex: the header is larger than 1 MB, or it is no safetensors document.
    """
    header_bytes = int.from_bytes(content[:8], "little")
    if len(content) < 8 or header_bytes > MAX_HEADER_BYTES:
        raise CorruptIndex(f"{where} has a header of {header_bytes} bytes, which no cdml writes: {ADVICE}")
    try:
        return dict(load(content))
    except (SafetensorError, ValueError, KeyError) as error:
        raise CorruptIndex(f"{where} is no safetensors file ({error}): {ADVICE}") from error


def view_tensors(content: Content, where: str) -> dict[str, NDArray[Any]]:
    """Return the named float and integer arrays of a document as they lie in ``content``, read-only.

    Raises:
        CorruptIndex: the header is larger than 1 MB, or it is no such document.
    """
    whole = memoryview(content).toreadonly()
    header_bytes = int.from_bytes(whole[:8], "little")
    if len(whole) < 8 or header_bytes > MAX_HEADER_BYTES:
        raise CorruptIndex(f"{where} has a header of {header_bytes} bytes, which no cdml writes: {ADVICE}")
    data = whole[8 + header_bytes :]
    try:
        header = json.loads(bytes(whole[8 : 8 + header_bytes]), object_pairs_hook=_without_twins)
        entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
        _check_covers(entries, len(data))
        return {name: _viewed(entry, data) for name, entry in entries.items()}
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise CorruptIndex(f"{where} is no safetensors file ({error}): {ADVICE}") from error


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands there twice")
    return found


def _check_covers(entries: Mapping[str, Mapping[str, Any]], data_bytes: int) -> None:
    """Require, as the format does, that arrays follow one another without gap or overlap, to the end."""
    reached = 0
    for begin, end in sorted(tuple(map(int, entry["data_offsets"])) for entry in entries.values()):
        if begin != reached or end < begin:
            raise ValueError(f"its arrays do not follow one another at byte {begin} of the data")
        reached = end
    if reached != data_bytes:
        raise ValueError(f"its arrays end at byte {reached} of {data_bytes}")


def _viewed(entry: Mapping[str, Any], data: memoryview) -> NDArray[Any]:
    dtype, shape = _VIEWED[entry["dtype"]], tuple(map(int, entry["shape"]))
    begin, end = map(int, entry["data_offsets"])
    count = math.prod(shape)
    fits = 0 <= begin <= end <= len(data) and end - begin == count * dtype.itemsize
    if min(shape, default=0) < 0 or not fits:
        raise ValueError(f"{entry} does not fit into the file")
    array: NDArray[Any] = np.frombuffer(data[begin:end], dtype=dtype, count=count).reshape(shape)
    return array
