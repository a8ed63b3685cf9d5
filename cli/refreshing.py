"""Refreshing the gallery: what ``cdml refresh`` puts together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cli.wiring import image_reader, page_painter, writing

if TYPE_CHECKING:
    from continual_dml.ports import ProgressListener
    from continual_dml.workflows.refresh_items import RefreshResult
    from storage.workspace import Workspace


def run_refresh(workspace: Workspace, chosen: Mapping[str, Any], listener: ProgressListener) -> RefreshResult:
    """Refresh the gallery as the options say.

    Raises:
        SettingsError: a mode, a budget or a device that cannot be.
        CatalogError: nothing is ingested yet.
        GalleryError: all were to be embedded anew, and an image is missing.
    """
    from cli.settings import compute_device, reembed_budget, refresh_mode, task_settings
    from continual_dml.settings import REFRESH_AGAIN
    from continual_dml.workflows.refresh_gallery import RefreshTools
    from continual_dml.workflows.refresh_items import refresh_items

    mode, budget = refresh_mode(chosen, REFRESH_AGAIN), reembed_budget(chosen)
    stored = workspace.settings
    device = compute_device(chosen) if "device" in chosen else stored.training.device
    settings = task_settings(stored, chosen)
    settings = replace(settings, training=replace(settings.training, device=device))
    with writing(workspace, listener) as store:
        tools = RefreshTools(store, image_reader(stored), listener, page_painter(stored))
        return refresh_items(mode, budget, tools, settings)
