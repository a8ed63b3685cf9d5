"""Run as a program: publishes a task and kills itself at a named step, with no chance to clean up."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import conftest

from storage import failpoints
from storage.store import WorkspaceStore
from storage.workspace import Workspace


def main(root: str, step: str, folder: str) -> None:
    def kill(reached: str) -> None:
        if reached == step:
            os.kill(os.getpid(), signal.SIGKILL)

    failpoints.on_step = kill
    with WorkspaceStore(Workspace.open(Path(root))) as store:
        conftest.publish_task(store, "killed", Path(folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
