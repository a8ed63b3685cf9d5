"""Every error that a caller can meet, as one tree.

::

    CdmlError                       exit 1
      StreamError                   images or folders cannot be used
        UnreadableImage             one file; the task goes on without it (quarantine)
        EmptyTask                   nothing left to learn from
        LabelCollision              one image under two categories
      CatalogError                  the SQL catalogue cannot answer
        AlreadyIngested             nothing in the folder is new
        UnknownTask
        UnknownItem
        SchemaTooNew                written by a newer cdml
      GalleryError                  vectors or index cannot be used (exit 7)
        DimensionMismatch
        StaleGallery
        CorruptIndex
        SelfTestFailed              a generation that does not agree with itself cannot go live
      SettingsError                 a value that cannot work (exit 2)
        UnknownChoice               not one of the valid names, with suggestions
      TrainingError
        NotFiniteLoss               the loss is NaN or infinite; nothing is published
      WorkspaceError                the workspace is missing, exists already or is damaged
        WorkspaceLocked             another writer is at work (exit 6)

A message says what happened, where, and what to do next, in one line.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import ClassVar


class CdmlError(Exception):
    """Base of every error that cdml raises on purpose; ``exit_code`` is what the command line ends with."""

    exit_code: ClassVar[int] = 1


class StreamError(CdmlError):
    """Images or folders that cannot be used."""


class UnreadableImage(StreamError):
    """One file that is not a usable image; ``reason`` is the short text kept in the quarantine list."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class EmptyTask(StreamError):
    """A task without enough usable images to learn from."""


class LabelCollision(StreamError):
    """One image stands under two categories."""


class CatalogError(CdmlError):
    """The SQL catalogue cannot answer."""


class AlreadyIngested(CatalogError):
    """Every usable image of the folder is in the catalogue already."""


class UnknownTask(CatalogError):
    """A task that the catalogue does not know."""


class UnknownItem(CatalogError):
    """An image that the live generation does not see."""


class SchemaTooNew(CatalogError):
    """The catalogue was written by a newer cdml."""


class GalleryError(CdmlError):
    """Vectors or index that cannot be used."""

    exit_code = 7


class DimensionMismatch(GalleryError):
    """Vectors of one dimension offered to an index of another."""


class StaleGallery(GalleryError):
    """A gallery whose vectors do not belong to the model that asks."""


class CorruptIndex(GalleryError):
    """A published file that is missing or differs from its manifest."""


class SelfTestFailed(GalleryError):
    """Files and catalogue of a generation do not agree, so that it cannot go live."""


class SettingsError(CdmlError):
    """A setting whose value cannot work."""

    exit_code = 2


class UnknownChoice(SettingsError):
    """A name that is none of the valid ones; the message offers the closest."""

    def __init__(self, what: str, given: str, choices: Iterable[str]) -> None:
        names = sorted(choices)
        close = difflib.get_close_matches(given, names, n=3)
        hint = f"did you mean {' or '.join(close)}?" if close else f"choose one of {', '.join(names[:12])}"
        super().__init__(f"unknown {what} '{given}': {hint}")
        self.given = given
        self.choices = names


class TrainingError(CdmlError):
    """Training that cannot go on."""


class NotFiniteLoss(TrainingError):
    """The loss became NaN or infinite; nothing of the task is published."""

    def __init__(self, task: str, step: int, terms: Mapping[str, float]) -> None:
        values = ", ".join(f"{name}={value:.4g}" for name, value in terms.items())
        super().__init__(
            f"task '{task}': the loss is not finite at step {step} ({values}); nothing was published; "
            "try a smaller --learning-rate, or look at the task's images"
        )
        self.task = task
        self.step = step
        self.terms = dict(terms)


class WorkspaceError(CdmlError):
    """A workspace that is missing, exists already, or is damaged."""


class WorkspaceLocked(WorkspaceError):
    """Another writer holds the workspace."""

    exit_code = 6
