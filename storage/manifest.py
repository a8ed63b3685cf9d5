"""The manifest of a generation: every file with its size and hash, and what the generation was built with."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from continual_dml.errors import CorruptIndex
from storage.durable import FileEntry

MANIFEST_NAME = "MANIFEST.json"
FORMAT_VERSION = 1
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """The search index: which kind in which file, and the ``items`` unit vectors that it holds."""

    kind: str
    file: str
    dimension: int
    items: int
    ids_sha256: str
    dtype: str = "float32"
    metric: str = "inner-product"


@dataclass(frozen=True, slots=True)
class Manifest:
    """All that a reader must know about a generation before it trusts a file of it."""

    generation_id: int
    parent_id: int | None
    parent_manifest_sha256: str | None
    task_id: int
    created_at: str
    index: IndexEntry
    files: Mapping[str, FileEntry]
    config: Mapping[str, Any]
    libraries: Mapping[str, str]

    def to_bytes(self) -> bytes:
        """Return the canonical JSON text: the same manifest gives the same bytes."""
        document = {"format_version": FORMAT_VERSION, **asdict(self)}
        return (json.dumps(document, sort_keys=True, indent=1, allow_nan=False) + "\n").encode("utf-8")

    @classmethod
    def from_bytes(cls, content: bytes, where: str) -> Manifest:
        """Parse a manifest whose hash was checked before.

        Raises:
            CorruptIndex: the document is none that this cdml wrote.
        """
        try:
            document = json.loads(content)
            if document.pop("format_version") != FORMAT_VERSION:
                raise ValueError("another format version")
            document["index"] = IndexEntry(**document["index"])
            document["files"] = {
                check_name(name): FileEntry(**entry) for name, entry in document["files"].items()
            }
            return cls(**document)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise CorruptIndex(f"{where} is no manifest of this cdml ({error}): {ADVICE}") from error


ADVICE = "restore the workspace from a backup, or ingest its tasks again in a new one"


def check_name(name: str) -> str:
    """Return ``name`` if it is a plain file name that an artefact may have.

    Raises:
        ValueError: it is not, for instance because it holds a slash.
    """
    if not _FILE_NAME.fullmatch(name) or name == MANIFEST_NAME:
        raise ValueError(f"'{name}' is no artefact name")
    return name


def sha256_of(content: bytes) -> str:
    """Return the SHA-256 of ``content`` in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def open_file(path: Path) -> int:
    """Open a file for reading, following no symbolic link; the caller closes the descriptor."""
    return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)


def read_verified(descriptor: int, where: str, size: int | None, sha256: str) -> bytes:
    """Read a whole file and accept it only if its size and hash are the expected ones.

    The hash is taken of the very bytes that are returned, so nothing can change between check and use.

    Raises:
        CorruptIndex: it differs or cannot be read.
    """
    try:
        found = os.fstat(descriptor).st_size
        if size is not None and found != size:
            raise CorruptIndex(f"{where} has {found} bytes instead of {size}: {ADVICE}")
        pieces, offset = [], 0
        while piece := os.pread(descriptor, _CHUNK_BYTES, offset):
            pieces.append(piece)
            offset += len(piece)
    except OSError as error:
        raise CorruptIndex(f"cannot read {where}: {os.strerror(error.errno or 0)}; {ADVICE}") from error
    content = b"".join(pieces)
    if sha256_of(content) != sha256:
        raise CorruptIndex(f"{where} differs from what was published: {ADVICE}")
    return content


def read_manifest(directory: Path, sha256: str) -> Manifest:
    """Read the manifest of a published generation.

    Args:
        directory: the generation's directory.
        sha256: what the catalogue says about the manifest.

    Raises:
        CorruptIndex: it differs from what the catalogue says.
        FileNotFoundError: there is none, for instance because a newer generation replaced this one.
    """
    path = directory / MANIFEST_NAME
    try:
        descriptor = open_file(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise CorruptIndex(f"cannot open {path}: {os.strerror(error.errno or 0)}; {ADVICE}") from error
    try:
        content = read_verified(descriptor, str(path), None, sha256)
    finally:
        os.close(descriptor)
    return Manifest.from_bytes(content, str(path))
