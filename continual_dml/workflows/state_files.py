"""Where a generation keeps what was learned: one file per group of the learner's state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from continual_dml.errors import SettingsError
from continual_dml.ports import Artefacts, Draft
from continual_dml.strategies.state import LearnerState, group_names, is_statistics_name, is_step_name

_SUFFIX = ".safetensors"
_EARLIER_DRIFT = f"drift{_SUFFIX}"


def stored_state(artefacts: Artefacts, cohort: int) -> LearnerState:
    """Return what a published generation with ``cohort`` networks has learned.

    Raises:
        CorruptIndex: a file is missing or damaged.
        SettingsError: an early cdml wrote it, whose drift maps cannot be continued.
    """
    files = artefacts.names()
    if _EARLIER_DRIFT in files:
        raise SettingsError(
            "this workspace was made by an early cdml, whose drift maps this one cannot continue: it can be "
            "searched as it is; to learn more, make a new workspace and ingest its tasks again"
        )
    names = group_names(cohort, [name.removesuffix(_SUFFIX) for name in files])
    return LearnerState.from_artefacts({name: artefacts.read_tensors(name + _SUFFIX) for name in names})


def write_state(state: LearnerState, draft: Draft, parent: Artefacts | None, *, moved: bool = True) -> None:
    """Write what was learned; what the parent has already is taken over.

    Args:
        state: of the learner.
        draft: of the next generation.
        parent: the generation before, if any. Its drift steps never change.
        moved: whether the weights are other ones. If not, all that is equal is taken over.
    """
    there = set(parent.names()) if parent is not None else set()
    for name, arrays in state.to_artefacts().items():
        file = name + _SUFFIX
        known = parent if file in there else None
        if known is not None and (is_step_name(name) or (not moved and _has(known, file, arrays))):
            draft.inherit(file)
        else:
            draft.write_tensors(file, arrays)


def _has(parent: Artefacts, file: str, arrays: Mapping[str, NDArray[Any]]) -> bool:
    there = parent.read_tensors(file)
    return there.keys() == arrays.keys() and all(
        there[name].dtype == array.dtype and np.array_equal(there[name], array)
        for name, array in arrays.items()
    )


def write_statistics(state: LearnerState, draft: Draft) -> set[str]:
    """Write the class statistics alone; return the names of their files, for all else to be taken over."""
    written = set()
    for name, arrays in state.to_artefacts().items():
        if is_statistics_name(name):
            draft.write_tensors(name + _SUFFIX, arrays)
            written.add(name + _SUFFIX)
    return written
