"""Where a generation keeps the fingerprints of all images it knows: one file for each that brought some.

They are of the images, not of a model: a file is never written again but to take deleted images out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from continual_dml.fingerprints import WORDS
from continual_dml.ports import Artefacts, Draft

_PREFIX, _SUFFIX = "fingerprints-", ".safetensors"


@dataclass(frozen=True, slots=True, eq=False)
class Fingerprints:
    """Fingerprints (n, 4) of the images with ``ids`` (n,), gallery and held out."""

    ids: NDArray[np.int64]
    codes: NDArray[np.uint64]


def fingerprints_file(generation: int) -> str:
    """Name of the file with the fingerprints of the images that ``generation`` brought.

    >>> fingerprints_file(3)
    'fingerprints-00000003.safetensors'
    """
    return f"{_PREFIX}{generation:08d}{_SUFFIX}"


def stored_fingerprints(artefacts: Artefacts) -> Fingerprints:
    """Return those of all images that a published generation knows, as far as they were taken."""
    groups = [group for _, group in _groups(artefacts)]
    return Fingerprints(
        np.concatenate([np.empty(0, dtype=np.int64), *(group.ids for group in groups)]),
        np.concatenate([np.empty((0, WORDS), dtype=np.uint64), *(group.codes for group in groups)]),
    )


def write_fingerprints(draft: Draft, found: Fingerprints) -> None:
    """Write those of the images that a draft brings."""
    _write(draft, fingerprints_file(draft.generation_id), found)


def inherit_fingerprints(draft: Draft, parent: Artefacts | None) -> None:
    """Take all over that the parent has."""
    for name in _names(parent) if parent is not None else ():
        draft.inherit(name)


def rewrite_fingerprints(parent: Artefacts, draft: Draft, gone: NDArray[np.int64]) -> set[str]:
    """Write the files that lose some of ``gone`` (n,) anew; return the names of these."""
    changed = set()
    for name, group in _groups(parent):
        rows = np.flatnonzero(~np.isin(group.ids, gone))
        if len(rows) < len(group.ids):
            changed.add(name)
            if len(rows):
                _write(draft, name, Fingerprints(group.ids[rows], group.codes[rows]))
    return changed


def _write(draft: Draft, name: str, found: Fingerprints) -> None:
    draft.write_tensors(name, {"ids": found.ids, "codes": found.codes})


def _names(artefacts: Artefacts) -> list[str]:
    return sorted(name for name in artefacts.names() if name.startswith(_PREFIX))


def _groups(artefacts: Artefacts) -> Iterator[tuple[str, Fingerprints]]:
    for name in _names(artefacts):
        arrays = artefacts.read_tensors(name)
        yield name, Fingerprints(arrays["ids"], arrays["codes"])
