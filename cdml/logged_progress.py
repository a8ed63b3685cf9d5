"""Who is told of progress where the caller names nobody: Python's own logging."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from continual_dml.ports import ProgressListener

LOGGER = logging.getLogger("cdml")
LOGGER.addHandler(logging.NullHandler())  # without it Python would print warnings of its own accord


@final
class LoggedProgress:
    """Stages go to the logger ``cdml`` at level INFO, notes at WARNING; nothing prints until one asks it to.

    >>> import logging
    >>> logging.getLogger("cdml").handlers
    [<NullHandler (NOTSET)>]
    """

    def start(self, stage: str, total: int) -> None:
        """Log that a stage begins."""
        LOGGER.info("%s (%d)", stage, total)

    def advance(self, units: int = 1, detail: str = "") -> None:
        """Some of it is done: a log need not know."""

    def note(self, message: str) -> None:
        """Log a note."""
        LOGGER.warning("%s", message)


def told(progress: ProgressListener | None) -> ProgressListener:
    """Return the listener that was given, or the one that logs."""
    return LoggedProgress() if progress is None else progress
