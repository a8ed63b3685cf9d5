"""The manifest of a generation: every file with its size and hash, and what the generation was built with."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from continual_dml.errors import CorruptIndex
from storage.durable import FileEntry
from storage.verified_files import ADVICE, open_published, read_published, sha256_of

MANIFEST_NAME = "MANIFEST.json"
FORMAT_VERSION = 1
_MOST_BYTES = 64 << 20
_CATALOGUE_NAME = re.compile(r"catalogue-\d{8,}\.jsonl")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """The search index: which kind in which file, and the ``items`` unit vectors that it holds.

    ``recall_at_10``: which share of the ten best items it found when it was built, None where it always does.
    ``removed_file``: the file with the ids that ``file`` holds and that are gone, None where all are there.
    ``reads``: further files of the generation that a search reads, in the order in which the kind wants them.
    """

    kind: str
    file: str
    dimension: int
    items: int
    ids_sha256: str
    dtype: str = "float32"
    metric: str = "inner-product"
    recall_at_10: float | None = None
    removed_file: str | None = None
    reads: tuple[str, ...] = ()


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
        return _text({**document, "checksum": _checksum(document)})

    @classmethod
    def from_bytes(cls, content: bytes, where: str) -> Manifest:
        """Parse a manifest whose hash was checked before.

        Raises:
            CorruptIndex: the document is none that this cdml wrote.
        """
        try:
            document = json.loads(content)
            document.pop("checksum", None)
            if document.pop("format_version") != FORMAT_VERSION:
                raise ValueError("another format version")
            index = document["index"]
            reads = tuple(map(check_name, index.get("reads", ())))
            document["index"] = IndexEntry(**{**index, "reads": reads})
            document["files"] = {
                check_name(name): FileEntry(**entry) for name, entry in document["files"].items()
            }
            return cls(**document)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise CorruptIndex(f"{where} is no manifest of this cdml ({error}): {ADVICE}") from error


def catalogue_name(generation_id: int) -> str:
    """Name of the file with the catalogue's rows that a generation brought."""
    return f"catalogue-{generation_id:08d}.jsonl"


def is_catalogue_name(name: str) -> bool:
    """Say whether a file of a generation holds rows of the catalogue."""
    return _CATALOGUE_NAME.fullmatch(name) is not None


def check_name(name: str) -> str:
    """Return ``name`` if it is a plain file name that an artefact may have.

    Raises:
        ValueError: it is not, for instance because it holds a slash.
    """
    if not _FILE_NAME.fullmatch(name) or name == MANIFEST_NAME:
        raise ValueError(f"'{name}' is no artefact name")
    return name


def read_unlisted_manifest(directory: Path) -> tuple[Manifest, bytes]:
    """Read the manifest of a generation that no catalogue tells about; its own checksum has to hold.

    Returns:
        The manifest and its bytes.

    Raises:
        CorruptIndex: it is damaged, or an earlier cdml wrote it, without a checksum.
        FileNotFoundError: there is none.
    """
    path = directory / MANIFEST_NAME
    descriptor = open_published(path)
    try:
        content = os.pread(descriptor, _MOST_BYTES, 0)
    finally:
        os.close(descriptor)
    manifest = Manifest.from_bytes(content, str(path))
    document = json.loads(content)
    if document.pop("checksum", None) != _checksum(document):
        raise CorruptIndex(f"{path} has no checksum that holds: {ADVICE}")
    return manifest, content


def _checksum(document: Mapping[str, Any]) -> str:
    return sha256_of(_text(document))


def _text(document: Mapping[str, Any]) -> bytes:
    return (json.dumps(document, sort_keys=True, indent=1, allow_nan=False) + "\n").encode("utf-8")


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
    return Manifest.from_bytes(read_published(path, None, sha256), str(path))
