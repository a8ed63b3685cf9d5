"""Refreshing the gallery: what ``cdml refresh`` puts together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cli.wiring import image_reader, page_painter, writing
from continual_dml.settings import NO_LIMIT, RefreshBudget, Settings

if TYPE_CHECKING:
    from continual_dml.ports import ProgressListener
    from continual_dml.workflows.refresh_items import RefreshResult
    from storage.workspace import Workspace


@dataclass(frozen=True, slots=True)
class RefreshRequest:
    """What ``cdml refresh`` was asked for: a mode, how much may be embedded anew, and settings.

    ``settings`` say where to compute, how images are read and what the quality gate asks; the network is
    that of the live generation.
    """

    mode: str
    settings: Settings
    budget: RefreshBudget = NO_LIMIT


def run_refresh(request: RefreshRequest, workspace: Workspace, listener: ProgressListener) -> RefreshResult:
    """Refresh the gallery as the request says.

    Raises:
        SettingsError: a device that is not there.
        CatalogError: nothing is ingested yet.
        GalleryError: all were to be embedded anew, and an image is missing.
    """
    from continual_dml.workflows.refresh_gallery import RefreshTools
    from continual_dml.workflows.refresh_items import refresh_items

    with writing(workspace, listener) as store:
        settings = request.settings
        tools = RefreshTools(store, image_reader(settings), listener, page_painter(settings))
        return refresh_items(request.mode, request.budget, tools, settings)
