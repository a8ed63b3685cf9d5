"""How many bytes a workspace holds, and how many of them a generation has written."""

from __future__ import annotations

from pathlib import Path

KINDS = ("statistics", "drift", "items", "vectors", "index", "queries", "asked", "catalogue", "model")


def own_bytes(generation: Path) -> int:
    """Return the bytes of a generation's own files; those that it shares with another are linked."""
    found = [path.stat() for path in generation.iterdir() if path.is_file()]
    return sum(one.st_size for one in found if one.st_nlink == 1)


def bytes_by_kind(workspace: Path) -> dict[str, int]:
    """Return the bytes of the workspace's files by kind, and of all of them; a linked file counts once."""
    found = dict.fromkeys((*KINDS, "total"), 0)
    seen: set[tuple[int, int]] = set()
    for path in workspace.rglob("*"):
        status = path.stat()
        if not path.is_file() or (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        group = path.name.split("-")[0].split(".")[0]
        found["total"] += status.st_size
        if path.parent.parent.name == "gen" and group in found:
            found[group] += status.st_size
    return found
