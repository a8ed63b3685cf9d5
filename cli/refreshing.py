"""Refreshing the gallery: what ``cdml refresh`` puts together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cli.wiring import image_reader, writing

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
    from cli.settings import reembed_budget, refresh_mode, settings_of, task_settings
    from continual_dml.settings import REFRESH_AGAIN
    from continual_dml.workflows.refresh_gallery import RefreshTools
    from continual_dml.workflows.refresh_items import refresh_items

    mode, budget = refresh_mode(chosen, REFRESH_AGAIN), reembed_budget(chosen)
    stored = settings_of(workspace)
    settings = task_settings(stored, chosen)
    with writing(workspace, listener) as store:
        tools = RefreshTools(store, image_reader(stored), listener)
        return refresh_items(mode, budget, tools, settings)
