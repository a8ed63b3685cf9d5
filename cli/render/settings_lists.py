"""Settings with their origin, as a table and as a document."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.render.tables import Table

if TYPE_CHECKING:
    from cli.effective_settings import Effective

SCHEMA_VERSION = 1
_NOTHING = "none"


def settings_table(found: Sequence[Effective], *, origin: bool) -> Table:
    """Return one row for each setting."""
    headings = ["setting", "value", *(["origin"] if origin else [])]
    rows = [[one.name, shown(one.value), *([_origin(one)] if origin else [])] for one in found]
    return Table("", headings, rows)


def settings_document(workspace: Path, found: Sequence[Effective], *, exists: bool) -> dict[str, Any]:
    """Return all of it for ``--json``."""
    return {
        "schema_version": SCHEMA_VERSION,
        "workspace": str(workspace),
        "exists": exists,
        "settings": [
            {"name": one.name, "value": _plain(one.value), "origin": one.origin, "where": one.where}
            for one in found
        ],
    }


def paths_document(found: Sequence[tuple[str, Path]]) -> dict[str, Any]:
    """Return where files are looked for, for ``--json``."""
    files = [{"origin": kind, "path": str(file), "exists": file.is_file()} for kind, file in found]
    return {"schema_version": SCHEMA_VERSION, "files": files}


def shown(value: object) -> str:
    """Return a value as ``--set`` takes it.

    >>> [shown(value) for value in (None, True, (1, 10), "flat", 0.25)]
    ['none', 'yes', '1/10', 'flat', '0.25']
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return "/".join(map(str, value)) or _NOTHING
    return _NOTHING if value is None else str(value)


def _origin(one: Effective) -> str:
    return one.origin if one.where is None else one.where


def _plain(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value
