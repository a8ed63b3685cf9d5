"""TensorBoard event files of an ingest: loss terms of each step, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

    from continual_dml.ports import ProgressListener


class EventLog:
    """Implements ``continual_dml.ports.TrainingLog``.

    Each task has a run of its own, ``task-0001`` and so on, so that their curves can be laid over each other;
    what is measured after each task is in the run ``measured``, whose steps are tasks.

    Args:
        folder: where the event files lie; made where it is missing.
        listener: told once if they cannot be written: that is no reason to stop learning.
    """

    def __init__(self, folder: Path, listener: ProgressListener) -> None:
        self._folder = folder
        self._listener = listener
        self._writers: dict[str, SummaryWriter] = {}
        self._failed = False

    def step(self, task: int, step: int, terms: Mapping[str, float]) -> None:
        """Write the loss terms of one step, and their sum."""
        values = {f"loss/{name}": value for name, value in terms.items()}
        self._write(f"task-{task + 1:04d}", {**values, "loss/total": sum(terms.values())}, step)

    def measured(self, report: Mapping[str, Any]) -> None:
        """Write what a report says of the model after its last task."""
        names = [task["name"] for task in report["tasks"]]
        values: dict[str, float] = {}
        for k, rows in report["recall_at_k"].items():
            for number, (name, value) in enumerate(zip(names, rows[-1], strict=False), start=1):
                values[f"recall_at_{k}/{number:04d}-{name}"] = value
            for name, value in report["summary"][k].items():
                values[f"{name}/recall_at_{k}"] = value
        self._write("measured", {name: one for name, one in values.items() if one is not None}, len(names))

    def close(self) -> None:
        """Flush and close all files."""
        try:
            for writer in self._writers.values():
                writer.close()
        except OSError as error:
            self._tell(error)

    def _write(self, run: str, values: Mapping[str, float], step: int) -> None:
        if self._failed:
            return
        try:
            writer = self._writer(run, step)
            for name, value in values.items():
                writer.add_scalar(name, value, step)
        except OSError as error:
            self._tell(error)

    def _writer(self, run: str, step: int) -> SummaryWriter:
        """Return the writer of a run; what an interrupted one wrote from ``step`` on is shown no more."""
        from torch.utils.tensorboard import SummaryWriter

        if run not in self._writers:
            self._writers[run] = SummaryWriter(str(self._folder / run), purge_step=step)
        return self._writers[run]

    def _tell(self, error: OSError) -> None:
        if not self._failed:
            self._listener.note(f"no event files from here on: {self._folder}: {error.strerror or error}")
        self._failed = True


@contextmanager
def event_log(folder: Path | None, listener: ProgressListener) -> Iterator[EventLog | None]:
    """Yield a log that writes into ``folder``, or None where there is none.

    Raises:
        SettingsError: TensorBoard is not installed, or the folder is a file.
    """
    if folder is None:
        yield None
        return
    from continual_dml.errors import SettingsError

    try:
        import torch.utils.tensorboard  # noqa: F401
    except ImportError as error:
        raise SettingsError(
            "--tensorboard needs tensorboard, which is not installed: run `pip install 'cdml[tensorboard]'`"
        ) from error
    if folder.exists() and not folder.is_dir():
        raise SettingsError(f"--tensorboard {folder}: that is a file; name a folder")
    log = EventLog(folder, listener)
    try:
        yield log
    finally:
        log.close()
