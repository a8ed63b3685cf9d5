"""What every half of a workspace's facade stands on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from continual_dml.settings import Settings
    from storage.workspace import Workspace


class StoredWorkspace:
    """A workspace that exists: its paths and settings, no open file and no model."""

    def __init__(self, stored: Workspace) -> None:
        self._stored = stored

    @property
    def path(self) -> Path:
        """Its folder."""
        return self._stored.root

    @property
    def settings(self) -> Settings:
        """The settings that it was made with, as ``cdml.toml`` said when it was opened."""
        return self._stored.settings


def named(generation: int | str | None) -> str | None:
    """Return a generation's number or tag as text, None for None."""
    return None if generation is None else str(generation)
