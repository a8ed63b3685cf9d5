"""What the arms of a row read, made once for neighbouring rows that read the same."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from benchmarks.side_by_side.rows import Row


class Preparation:
    """The folder of the row that is measured, below ``scratch``; it begins anew where rows differ."""

    def __init__(self, scratch: Path) -> None:
        self._folder = scratch / "row"
        self._of: tuple[object, str] | None = None

    def folder(self, row: Row, *, quick: bool) -> Path:
        """Return the folder, with all that the arms of ``row`` read."""
        sizes = row.sized(quick=quick)
        wanted = (row.prepare, json.dumps(sizes, sort_keys=True))
        if row.prepare is not None and wanted == self._of:
            return self._folder
        self._of = None
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()
        if row.prepare is not None:
            row.prepare(self._folder, sizes)
        self._of = wanted
        return self._folder
