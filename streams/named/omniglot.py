"""Omniglot (Lake, Salakhutdinov, Tenenbaum 2015): one task per alphabet, characters as categories."""

from __future__ import annotations

from pathlib import Path

from continual_dml.settings import StreamSettings
from streams.named.folder_layouts import task_folders
from streams.named.stream_files import StreamFiles

_BACKGROUND = ("images_background", "omniglot-py/images_background")


def alphabets(root: Path, limits: StreamSettings) -> StreamFiles:
    """Return ``<alphabet>/<character>/*.png`` below ``root`` or its folder ``images_background``.

    Raises:
        StreamError: the folder cannot be read, or an alphabet has no characters.
    """
    inner = [root / name for name in _BACKGROUND if (root / name).is_dir()]
    return task_folders(inner[0] if inner else root, limits)
