"""Adding images without learning: what ``cdml add`` puts together."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cli.wiring import page_painter, writing

if TYPE_CHECKING:
    from continual_dml.ports import ProgressListener, Store
    from continual_dml.settings import Settings
    from continual_dml.workflows.add_items import AddResult
    from continual_dml.workflows.plan_task import TaskPlan
    from storage.workspace import Workspace


@dataclass(frozen=True, slots=True)
class AddRequest:
    """What ``cdml add`` was asked for: folders, or images of a ``category``; None where not given."""

    paths: tuple[Path, ...]
    category: str | None = None
    name: str | None = None
    device: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class AddOutcome:
    """A finished addition: what was planned, what came of it, and how long reading and all of it took."""

    plan: TaskPlan
    result: AddResult
    read_seconds: float
    seconds: float


def run_add(request: AddRequest, workspace: Workspace, listener: ProgressListener) -> AddOutcome:
    """Embed images and publish; the writer lock is taken before anything is read.

    Raises:
        CatalogError: no task is learned yet, or none of the images is new.
        StreamError: a path cannot be read, or there is no usable image.
        SettingsError: a category, a name or a device that cannot be.
    """
    with writing(workspace, listener) as store:
        begin = time.perf_counter()
        plan = _plan(request, workspace, store, listener)
        read_seconds = time.perf_counter() - begin
        from continual_dml.workflows.add_items import add_items

        settings = computing_on(request.device, workspace.settings)
        result = add_items(plan, store, settings, listener, page_painter(settings))
        return AddOutcome(plan, result, read_seconds, time.perf_counter() - begin)


def computing_on(device: str | None, settings: Settings) -> Settings:
    """Return settings that compute on ``device``; as they are where it is None."""
    if device is None:
        return settings
    return replace(settings, training=replace(settings.training, device=device))


def plan_add(request: AddRequest, workspace: Workspace, listener: ProgressListener) -> TaskPlan:
    """Say what :func:`run_add` would do; raises as it does, and changes nothing."""
    with writing(workspace, listener) as store:
        return _plan(request, workspace, store, listener)


def _plan(request: AddRequest, workspace: Workspace, store: Store, listener: ProgressListener) -> TaskPlan:
    from continual_dml.workflows.plan_task import plan_addition, require_model
    from streams.additions import load_addition

    require_model(store)  # before many images are read in vain
    task = load_addition(
        request.paths,
        category=request.category,
        name=request.name,
        side_pixels=workspace.settings.model.stored_side_pixels,
        settings=workspace.settings.streams,
        listener=listener,
        pixel_directory=workspace.root,  # a nameless file there: nothing is left, even after a crash
    )
    return plan_addition(task, store, listener)
