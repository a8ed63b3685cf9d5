"""How many bytes a generation has written."""

from __future__ import annotations

from pathlib import Path


def own_bytes(generation: Path) -> int:
    """Return the bytes of a generation's own files; those that it shares with another are linked."""
    found = [path.stat() for path in generation.iterdir() if path.is_file()]
    return sum(one.st_size for one in found if one.st_nlink == 1)
