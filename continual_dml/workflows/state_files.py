"""Where a generation keeps what was learned: one file per group of the learner's state."""

from __future__ import annotations

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


def write_state(state: LearnerState, draft: Draft, parent: Artefacts | None) -> None:
    """Write what was learned; drift steps that the parent has are taken over, for they never change."""
    there = set(parent.names()) if parent is not None else set()
    for name, arrays in state.to_artefacts().items():
        if is_step_name(name) and name + _SUFFIX in there:
            draft.inherit(name + _SUFFIX)
        else:
            draft.write_tensors(name + _SUFFIX, arrays)


def write_statistics(state: LearnerState, draft: Draft) -> set[str]:
    """Write the class statistics alone; return the names of their files, for all else to be taken over."""
    written = set()
    for name, arrays in state.to_artefacts().items():
        if is_statistics_name(name):
            draft.write_tensors(name + _SUFFIX, arrays)
            written.add(name + _SUFFIX)
    return written
