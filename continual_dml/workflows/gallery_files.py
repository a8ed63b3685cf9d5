"""Where a generation keeps its gallery: two files per birth generation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from continual_dml.ports import Artefacts, Draft
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


def write_parts(draft: Draft, parts: Sequence[GalleryPart], parent_report: Mapping[str, Any]) -> None:
    """Write a gallery and its index; items that a part held in the generation before are taken over."""
    # Items never join a part after its birth, so an equal count means equal items.
    earlier = parent_report.get("parts", [])
    counts = {int(part["birth_generation"]): int(part["items"]) for part in earlier}
    for part in parts:
        items = items_file(part.birth_generation)
        if counts.get(part.birth_generation) == len(part.ids):
            draft.inherit(items)
        else:
            draft.write_tensors(items, {"ids": part.ids, "features": part.features})
        draft.write_tensors(vectors_file(part.birth_generation), {"vectors": part.vectors})
    draft.write_index(
        np.concatenate([part.ids for part in parts]), np.concatenate([part.vectors for part in parts])
    )
