"""Where a generation keeps its gallery: two files per birth generation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from continual_dml.ports import Artefacts
from continual_dml.records import GalleryPart, VectorState


def items_file(birth: int) -> str:
    """Name of the file with ids and features of the items born in generation ``birth``."""
    return f"items-{birth:08d}.safetensors"


def vectors_file(birth: int) -> str:
    """Name of the file with the vectors of the items born in generation ``birth``."""
    return f"vectors-{birth:08d}.safetensors"


def stored_parts(artefacts: Artefacts, report: Mapping[str, Any]) -> Iterator[GalleryPart]:
    """Yield the gallery parts of a published generation and its report, oldest birth first."""
    states = {int(part["birth_generation"]): part["state"] for part in report["parts"]}
    for birth in sorted(states):
        items = artefacts.read_tensors(items_file(birth))
        vectors = artefacts.read_tensors(vectors_file(birth))["vectors"]
        yield GalleryPart(birth, VectorState(states[birth]), items["ids"], items["features"], vectors)
