"""Images that were embedded elsewhere: what ``cdml import-embeddings`` puts together."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cli.adding import AddOutcome, computing_on
from cli.wiring import image_reader, page_painter, writing

if TYPE_CHECKING:
    from continual_dml.ports import ProgressListener, Store
    from continual_dml.workflows.import_features import ImportPlan, Proof
    from storage.workspace import Workspace


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What ``cdml import-embeddings`` was asked for; None where not given."""

    file: Path
    images: Path | None = None
    name: str | None = None
    device: str | None = None


def run_import(
    request: ImportRequest, workspace: Workspace, listener: ProgressListener
) -> tuple[AddOutcome, Proof]:
    """Take features over and publish; the writer lock is taken before anything is read.

    Raises:
        CatalogError: no task is learned yet, the file is of another model, or none of the images is new.
        StreamError: the file cannot be used.
        SettingsError: a name or a device that cannot be, or a missing extra.
    """
    with writing(workspace, listener) as store:
        begin = time.perf_counter()
        planned = _planned(request, workspace, store, listener)
        read_seconds = time.perf_counter() - begin
        from continual_dml.workflows.import_features import import_features

        settings = computing_on(request.device, workspace.settings)
        result = import_features(planned, store, settings, listener, page_painter(settings))
        outcome = AddOutcome(planned.plan, result, read_seconds, time.perf_counter() - begin)
        return outcome, planned.proof


def plan_import(request: ImportRequest, workspace: Workspace, listener: ProgressListener) -> ImportPlan:
    """Say what :func:`run_import` would do; raises as it does, and changes nothing."""
    with writing(workspace, listener) as store:
        return _planned(request, workspace, store, listener)


def _planned(
    request: ImportRequest, workspace: Workspace, store: Store, listener: ProgressListener
) -> ImportPlan:
    from continual_dml.workflows.import_features import plan_import as compared
    from continual_dml.workflows.plan_task import require_model
    from streams.embedded_images import load_embedded

    require_model(store)  # before a large file is read in vain
    settings = computing_on(request.device, workspace.settings)
    embedded = load_embedded(
        request.file,
        images=request.images,
        name=request.name,
        settings=settings.streams,
        listener=listener,
    )
    return compared(embedded, store, image_reader(settings), settings, listener)
