"""Caltech-101 (Li, Fergus, Perona 2004): 101 object categories; the background clutter is left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from continual_dml.settings import StreamSettings
from streams.folder_scan import scan_folder
from streams.named.stream_files import StreamFiles, undivided
from streams.named.text_lists import folder_with

_OBJECTS = "101_ObjectCategories"
_CLUTTER = "BACKGROUND_Google"


def all_objects(root: Path, limits: StreamSettings) -> StreamFiles:
    """Return ``101_ObjectCategories/<category>/*``; which images ask is drawn by seed.

    Raises:
        StreamError: another layout.
    """
    folder = folder_with(root, _OBJECTS, ("caltech101", "caltech-101"))
    files = scan_folder(folder / _OBJECTS, limits).files
    return replace(undivided(file for file in files if file.category != _CLUTTER), from_list=False)
