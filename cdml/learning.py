"""Learning tasks, adding images without learning, and bringing the gallery up to date."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdml.logged_progress import told
from cdml.results import AddResult, FolderPlan, IngestResult, RefreshResult, TaskEstimate
from cdml.stored import StoredWorkspace
from continual_dml.errors import SettingsError
from continual_dml.settings import NO_LIMIT, RefreshBudget, Settings

if TYPE_CHECKING:
    from cli.adding import AddRequest
    from cli.wiring import IngestRequest
    from continual_dml.ports import ProgressListener


class Learning(StoredWorkspace):
    """The half of :class:`cdml.Workspace` that computes: what it takes in, and what becomes of the gallery.

    Each of these is the one writer while it works. On any error, and after an interruption, nothing has
    changed.
    """

    def ingest_task(
        self,
        folder: str | os.PathLike[str],
        *,
        name: str | None = None,
        method: str | None = None,
        loss: str | None = None,
        steps: int | None = None,
        epochs: float | None = None,
        learning_rate: float | None = None,
        seed: int | None = None,
        device: str | None = None,
        refresh: str = "auto",
        reembed_budget: RefreshBudget | None = None,
        settings: Settings | None = None,
        restart: bool = False,
        progress: ProgressListener | None = None,
    ) -> IngestResult:
        """Learn a folder of new categories and publish what comes of it, all of it or nothing.

        Trains on its images alone, refreshes the gallery, measures what was gained and forgotten. After an
        interruption the same call goes on where it was.

        Args:
            folder: ``folder/<category>/*``, or ``folder/train/<category>/*`` and
                ``folder/test/<category>/*``.
            name: of the task; None for the folder's.
            method: how to learn, one of ``cdml ingest-task --help``; None for what the settings say, here and
                for all that follow.
            loss: of metric learning.
            steps: length of training in steps of optimisation; or ``epochs``, not both.
            epochs: length of training in passes over the task's images.
            learning_rate: of the backbone.
            seed: of everything random.
            device: where to compute, ``auto``, ``cpu`` or ``cuda``.
            refresh: what happens to earlier images: ``auto`` embeds anew what is still there and carries the
                rest forward, ``project`` opens no image, ``reembed`` needs all of them, ``keep`` leaves them.
            reembed_budget: how much ``auto`` may embed anew; None for all that is there.
            settings: in place of the workspace's, for this task; their ``model`` must be the workspace's.
            restart: begin anew where an interrupted run could go on.
            progress: told what goes on.

        Returns:
            What came of it. ``promoted`` is False where the quality gate refused it: the generation before
            stays live then, and :meth:`promote` overrides.

        Raises:
            StreamError: the folder cannot be read as a task, or holds nothing to learn from.
            AlreadyIngested: nothing in it is new.
            SettingsError: a value that cannot work.
            NotFiniteLoss: training diverged; nothing is published.
            GalleryError: the live generation is damaged, or ``refresh`` is ``reembed`` and an image is gone.
            WorkspaceLocked: another writer is at work.
        """
        from cli.wiring import run_ingest

        options = {
            "method": method,
            "loss": loss,
            "steps": steps,
            "epochs": epochs,
            "learning_rate": learning_rate,
            "seed": seed,
            "device": device,
        }
        chosen = self._task_settings(settings, options)
        request = _ingest_request(folder, name, chosen, refresh, reembed_budget, restart=restart)
        listener = told(progress)
        result = IngestResult.of(run_ingest(request, self._stored, listener))
        if not result.promoted:
            listener.note(f"generation {result.generation} is not live: {result.report.refusal}")
        return result

    def estimate_task(
        self,
        folder: str | os.PathLike[str],
        *,
        settings: Settings | None = None,
        refresh: str = "auto",
        progress: ProgressListener | None = None,
    ) -> TaskEstimate:
        """Say what :meth:`ingest_task` would learn, how long it takes and how much disk; changes nothing.

        Arguments and errors as there.
        """
        from cli.wiring import run_dry

        request = _ingest_request(folder, None, self._task_settings(settings, {}), refresh, None)
        return TaskEstimate.of(*run_dry(request, self._stored, told(progress)))

    def add(
        self,
        *paths: str | os.PathLike[str],
        category: str | None = None,
        name: str | None = None,
        device: str | None = None,
        progress: ProgressListener | None = None,
    ) -> AddResult:
        """Make images of known or new categories findable without learning: nothing is trained or held out.

        Args:
            paths: folders ``path/<category>/*``; or images, with ``category``.
            category: of all images, known or new.
            name: of the addition; None for the folder's or the category's.
            device: where to compute; None for what the settings say.
            progress: told what goes on.

        Raises:
            CatalogError: no task is learned yet.
            AlreadyIngested: none of the images is new.
            StreamError: a path cannot be read, or there is no usable image.
            SettingsError: no path, or a category or device that cannot be.
            WorkspaceLocked: another writer is at work.
        """
        from cli.adding import run_add

        request = _add_request(paths, category, name, device)
        return AddResult.of(run_add(request, self._stored, told(progress)))

    def plan_addition(
        self,
        *paths: str | os.PathLike[str],
        category: str | None = None,
        progress: ProgressListener | None = None,
    ) -> FolderPlan:
        """Say what :meth:`add` would add, leave out, and what looks like a copy; changes nothing.

        Arguments and errors as there.
        """
        from cli.adding import plan_add

        request = _add_request(paths, category, None, None)
        return FolderPlan.of(plan_add(request, self._stored, told(progress)))

    def refresh(
        self,
        mode: str = "auto",
        *,
        budget: RefreshBudget | None = None,
        device: str | None = None,
        progress: ProgressListener | None = None,
    ) -> RefreshResult:
        """Bring the gallery up to date without learning: embed anew what is reachable, carry the rest.

        Args:
            mode: ``auto``, ``reembed`` (all images must be there) or ``project`` (opens none).
            budget: how much ``auto`` may embed anew; None for all that is there.
            device: where to compute; None for what the settings say.
            progress: told what goes on.

        Raises:
            CatalogError: nothing is learned yet.
            SettingsError: a mode or a device that cannot be.
            GalleryError: an image is missing in mode ``reembed``, or the live generation is damaged.
            WorkspaceLocked: another writer is at work.
        """
        from cli.refreshing import RefreshRequest, run_refresh
        from continual_dml.settings import REFRESH_AGAIN
        from continual_dml.settings.checks import choice

        choice("refresh", mode, REFRESH_AGAIN)
        request = RefreshRequest(mode, self._task_settings(None, {"device": device}), budget or NO_LIMIT)
        return RefreshResult.of(run_refresh(request, self._stored, told(progress)))

    def _task_settings(self, settings: Settings | None, options: Mapping[str, Any]) -> Settings:
        """Return the settings of a task: those given or the workspace's, with options that are not None."""
        from cli.settings import task_settings

        if settings is not None and settings.model != self.settings.model:
            raise SettingsError(
                "the network stays as the workspace was made with: leave settings.model as it is, or make "
                "another workspace for another network"
            )
        given = {name: value for name, value in options.items() if value is not None}
        return task_settings(settings or self.settings, given)


def _ingest_request(
    folder: str | os.PathLike[str],
    name: str | None,
    settings: Settings,
    refresh: str,
    budget: RefreshBudget | None,
    *,
    restart: bool = False,
) -> IngestRequest:
    from cli.wiring import IngestRequest
    from continual_dml.settings import REFRESH_MODES
    from continual_dml.settings.checks import choice

    choice("refresh", refresh, REFRESH_MODES)
    return IngestRequest(Path(folder), name, settings, refresh, restart, budget or NO_LIMIT)


def _add_request(
    paths: Sequence[str | os.PathLike[str]], category: str | None, name: str | None, device: str | None
) -> AddRequest:
    from cdml.searching import check_device
    from cli.adding import AddRequest

    if not paths:
        raise SettingsError("say what to add: folders path/<category>/*, or images with category=...")
    if device is not None:
        check_device(device)
    return AddRequest(tuple(Path(path) for path in paths), category, name, device)
