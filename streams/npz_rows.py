"""Reads an ``.npz`` file of embedded images: plain arrays only, and no larger than they say."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from continual_dml.errors import StreamError
from continual_dml.interchange import CARD_KEY
from continual_dml.settings import StreamSettings
from streams.embedded_rows import (
    EMBEDDINGS,
    MOST_BYTES,
    NEEDED,
    OPTIONAL,
    EmbeddedRows,
    Texts,
    as_float32,
    card_from,
    require_columns,
    require_room,
)

_READ_HEADER = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def read_npz(path: Path, limits: StreamSettings) -> EmbeddedRows:
    """Return all rows of an ``.npz`` file.

    Raises:
        StreamError: it cannot be read, is too large, or has arrays of other types or shapes.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _read(archive, path, limits)
    except (OSError, zipfile.BadZipFile, ValueError, EOFError, NotImplementedError, RuntimeError) as error:
        raise StreamError(f"{path} cannot be read as NumPy's .npz: {error}") from error


def _read(archive: zipfile.ZipFile, path: Path, limits: StreamSettings) -> EmbeddedRows:
    names = {entry.filename.removesuffix(".npy") for entry in archive.infolist()}
    require_columns(names, path)
    features = _numbers(archive, "feature", path, limits)
    count = len(features)
    texts: Texts = {
        name: _texts(archive, name, count, path) for name in (*NEEDED, *OPTIONAL) if name in names
    }
    embedding = next((name for name in EMBEDDINGS if name in names), None)
    embeddings = None if embedding is None else _numbers(archive, embedding, path, limits)
    if embeddings is not None and len(embeddings) != count:
        raise StreamError(f"{path}: '{embedding}' has {len(embeddings):,} rows and 'feature' has {count:,}")
    card = None
    if CARD_KEY in names:
        described = _array(archive, CARD_KEY, path)
        if described.dtype.kind != "U" or described.ndim:
            raise StreamError(f"{path}: '{CARD_KEY}' is not one text")
        card = card_from(str(described), path)
    return EmbeddedRows(texts, features, embeddings, card)


def _numbers(archive: zipfile.ZipFile, name: str, path: Path, limits: StreamSettings) -> NDArray[np.float32]:
    found = _array(archive, name, path)
    if found.dtype.kind != "f" or found.ndim != 2:
        raise StreamError(
            f"{path}: '{name}' is {found.dtype} of shape {found.shape}, "
            "and has to be float numbers (rows, numbers)"
        )
    require_room(len(found), found.shape[1], limits, path)
    return as_float32(found)


def _texts(archive: zipfile.ZipFile, name: str, count: int, path: Path) -> list[str | None]:
    found = _array(archive, name, path)
    if found.dtype.kind != "U" or found.shape != (count,):
        raise StreamError(
            f"{path}: '{name}' is {found.dtype} of shape {found.shape}, and has to be {count:,} texts"
        )
    texts: list[str | None] = found.tolist()
    return texts


def _array(archive: zipfile.ZipFile, name: str, path: Path) -> NDArray[Any]:
    """Return one array; nothing of its size is allocated before the archive holds as much."""
    entry = archive.getinfo(f"{name}.npy")
    if entry.file_size > 2 * MOST_BYTES:
        raise StreamError(f"{path}: '{name}' is {entry.file_size:,} bytes when it is unpacked; split it")
    with archive.open(entry) as member:
        read_header = _READ_HEADER.get(np.lib.format.read_magic(member))
        if read_header is None:
            raise StreamError(
                f"{path}: '{name}' has a format that is not read here; save it with numpy.savez"
            )
        shape, fortran_order, dtype = read_header(member)
        if dtype.hasobject or dtype.kind not in "fU":
            raise StreamError(
                f"{path}: '{name}' is an array of {dtype}; only float numbers and texts are read"
            )
        if any(one < 0 for one in shape) or not dtype.itemsize:
            raise StreamError(f"{path}: '{name}' has shape {shape} of {dtype}")
        size = math.prod(shape) * dtype.itemsize
        if size > entry.file_size:
            raise StreamError(f"{path}: '{name}' is shorter than it says")
        data = member.read(size)
    if len(data) != size:
        raise StreamError(f"{path}: '{name}' is shorter than it says")
    flat = np.frombuffer(data, dtype=dtype)
    return flat.reshape(shape[::-1]).T if fortran_order else flat.reshape(shape)
