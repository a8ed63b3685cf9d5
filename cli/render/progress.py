"""Progress on stderr: bars on a terminal, one sober line per stage elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cli.shell import Shell, print_error_line, printable
from continual_dml.ports import SilentListener

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from continual_dml.ports import ProgressListener


class LineListener:
    """One line per stage, for logs."""

    def start(self, stage: str, total: int) -> None:
        """Tell that a stage begins."""
        print_error_line(f"{stage} ({total})" if total > 1 else stage)

    def advance(self, units: int = 1, detail: str = "") -> None:
        """Some of it is done: a log need not know."""

    def note(self, message: str) -> None:
        """Tell the note."""
        print_error_line(f"note: {message}")


class BarListener:
    """One bar per stage, the finished ones above."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._stage: TaskID | None = None

    def start(self, stage: str, total: int) -> None:
        """Finish the open stage's bar and begin a new one."""
        self.finish()
        self._stage = self._progress.add_task(printable(stage), total=total, detail="")

    def advance(self, units: int = 1, detail: str = "") -> None:
        """Move the bar."""
        if self._stage is not None:
            self._progress.update(self._stage, advance=units, detail=printable(detail))

    def note(self, message: str) -> None:
        """Write the note above the bars."""
        self._progress.console.print(f"note: {printable(message)}", markup=False, highlight=False)

    def finish(self) -> None:
        """Fill the open bar."""
        if self._stage is not None:
            total = self._progress.tasks[self._stage].total
            self._progress.update(self._stage, completed=total)


class NoteListener:
    """Notes alone."""

    def start(self, stage: str, total: int) -> None:
        """A stage begins: not told."""

    def advance(self, units: int = 1, detail: str = "") -> None:
        """Some of it is done: not told."""

    def note(self, message: str) -> None:
        """Tell the note."""
        print_error_line(f"note: {message}")


class TimedListener:
    """Another listener, which is also told how long each stage took."""

    def __init__(self, inner: ProgressListener) -> None:
        self._inner = inner
        self._stage: str | None = None
        self._begun = 0.0

    def start(self, stage: str, total: int) -> None:
        """Tell how long the open stage took, and begin a new one."""
        self.finish()
        self._stage, self._begun = stage, time.perf_counter()
        self._inner.start(stage, total)

    def advance(self, units: int = 1, detail: str = "") -> None:
        """Hand on."""
        self._inner.advance(units, detail)

    def note(self, message: str) -> None:
        """Hand on."""
        self._inner.note(message)

    def finish(self) -> None:
        """Tell how long the open stage took."""
        if self._stage is not None:
            self._inner.note(f"{self._stage} took {time.perf_counter() - self._begun:.2f} s")
        self._stage = None


@contextmanager
def progress_listener(shell: Shell) -> Iterator[ProgressListener]:
    """Yield the listener that suits the command and stderr as it is now."""
    with _shown(shell) as listener:
        if shell.quiet or not shell.verbose:
            yield listener
            return
        timed = TimedListener(listener)
        yield timed
        timed.finish()


@contextmanager
def _shown(shell: Shell) -> Iterator[ProgressListener]:
    if shell.quiet:
        yield SilentListener()
    elif shell.no_progress:
        yield NoteListener()
    elif not sys.stderr.isatty():
        yield LineListener()
    else:
        with _bars() as progress:
            listener = BarListener(progress)
            yield listener
            listener.finish()


def _bars() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[detail]}", markup=False),
        console=Console(stderr=True),
    )
