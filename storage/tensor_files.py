"""Named arrays as safetensors documents: plain numbers behind a bounded header, nothing that can run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from continual_dml.errors import CorruptIndex
from storage.tensor_headers import MAX_HEADER_BYTES, Content, StoredArray, read_arrays
from storage.verified_files import ADVICE

_VIEWED: Mapping[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"), "F32": np.dtype("<f4"), "F16": np.dtype("<f2"),
    "I64": np.dtype("<i8"), "I32": np.dtype("<i4"), "I16": np.dtype("<i2"), "I8": np.dtype("i1"),
    "U64": np.dtype("<u8"), "U32": np.dtype("<u4"), "U16": np.dtype("<u2"), "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}  # fmt: skip


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
    stored = read_arrays(content, where)
    try:
        return {name: _viewed(one) for name, one in stored.items()}
    except (ValueError, KeyError, ArithmeticError) as error:
        raise CorruptIndex(f"{where} holds other arrays than cdml writes ({error}): {ADVICE}") from error


def _viewed(stored: StoredArray) -> NDArray[Any]:
    dtype = _VIEWED[stored.dtype]
    array: NDArray[Any] = np.frombuffer(stored.data, dtype=dtype).reshape(stored.shape)
    return array
