"""The lock that makes one process the writer. The kernel gives it back when that process dies."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import final

from continual_dml.errors import WorkspaceError, WorkspaceLocked
from storage import durable


@final
class WriterLock:
    """Context manager around an exclusive ``flock`` on ``path``; it never waits.

    Raises:
        WorkspaceLocked: another process (or another part of this one) is the writer.
        WorkspaceError: the lock file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        from filelock import FileLock

        self._path = path
        self._lock = FileLock(str(path), blocking=False, thread_local=False)

    def __enter__(self) -> WriterLock:
        from filelock import Timeout

        try:
            self._lock.acquire()
        except Timeout:
            raise WorkspaceLocked(
                f"another cdml{self._holder()} is writing to {self._path.parent}: wait until it has finished"
            ) from None
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            raise WorkspaceError(
                f"cannot lock {self._path}: {reason}; give yourself the right to write there"
            ) from error
        durable.leave_note(self._path, f"{os.getpid()}\n")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    def _holder(self) -> str:
        try:
            text = self._path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            return ""
        return f" (process {text})" if text.isdigit() else ""
