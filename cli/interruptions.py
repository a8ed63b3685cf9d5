"""What an interrupt leaves behind, in words."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cli.shell import Shell

if TYPE_CHECKING:
    from storage.workspace import Workspace


@contextmanager
def told_how_to_go_on(shell: Shell, workspace: Workspace) -> Iterator[None]:
    """Let the message after an interrupt say that what was done so far is kept, where it is."""
    begun = time.time()
    try:
        yield
    except KeyboardInterrupt:
        kept = [path for path in (workspace.checkpoint_file, workspace.shards_dir) if path.exists()]
        if any(path.stat().st_mtime >= begun for path in kept):
            shell.kept = "nothing was published; the same command goes on where it was"
        raise
