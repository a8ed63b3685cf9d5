"""What stands in a safetensors document, without numpy: its bounded header, and columns of integers."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from mmap import mmap
from typing import Any

from continual_dml.errors import CorruptIndex
from storage.verified_files import ADVICE

MAX_HEADER_BYTES = 1_000_000
ITEM_BYTES: Mapping[str, int] = {
    "F64": 8, "F32": 4, "F16": 2,
    "I64": 8, "I32": 4, "I16": 2, "I8": 1,
    "U64": 8, "U32": 4, "U16": 2, "U8": 1, "BOOL": 1,
}  # fmt: skip
Content = bytes | mmap


@dataclass(frozen=True, slots=True)
class StoredArray:
    """One array of a document: type, shape, and its bytes as they lie there."""

    dtype: str
    shape: tuple[int, ...]
    data: memoryview

    @property
    def row_bytes(self) -> int:
        """Bytes of one row, along the first dimension."""
        return ITEM_BYTES[self.dtype] * math.prod(self.shape[1:])

    def integers(self) -> list[int]:
        """Return the numbers of a column of integers.

        Raises:
            ValueError: it is none.
        """
        if self.dtype != "I64" or len(self.shape) != 1:
            raise ValueError(f"an array of type {self.dtype} and shape {self.shape} is no column of integers")
        return list(struct.unpack(f"<{self.shape[0]}q", self.data))


def read_arrays(content: Content, where: str) -> dict[str, StoredArray]:
    """Return the named arrays of a document whose hash was checked before.

    Raises:
        CorruptIndex: the header is larger than 1 MB, or it is no document of plain numbers.
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
        return {name: _stored(entry, data) for name, entry in entries.items()}
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


def _stored(entry: Mapping[str, Any], data: memoryview) -> StoredArray:
    dtype, shape = entry["dtype"], tuple(map(int, entry["shape"]))
    begin, end = map(int, entry["data_offsets"])
    fits = 0 <= begin <= end <= len(data) and end - begin == math.prod(shape) * ITEM_BYTES[dtype]
    if min(shape, default=0) < 0 or not fits:
        raise ValueError(f"{entry} does not fit into the file")
    return StoredArray(dtype, shape, data[begin:end])
