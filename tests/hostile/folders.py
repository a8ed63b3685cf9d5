"""A task folder whose names and entries mean harm."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

CATEGORIES = (
    "\x1b[31mred\x1b[0m",
    "two\nlines",
    "\u202egnp.exe",
    "\x9b2J\x07\x08\r",
    "'; DROP TABLE item; --",
    "' OR '1'='1",
    "-rf",
    "~",
    " ",
    "%s %n {0} ${HOME} $(id) `id`",
    "<img src=x onerror=alert(1)>",
    "=cmd|' C calc'!A0",
    "x" * 200,
    "日本語 🍎",
)
UNDECODABLE = os.fsdecode(b"caf\xe9")


def build(root: Path, pictures: list[Path], secret: Path) -> list[str]:
    """Fill ``root``; return the names of the entries that must be left out.

    Args:
        root: does not exist yet.
        pictures: image files of different content, two for each category.
        secret: a file outside that must not be read.
    """
    supply = iter(pictures)
    for name in CATEGORIES:
        (root / name).mkdir(parents=True)
        for number in range(2):
            shutil.copy(next(supply), root / name / f"{number}\x1b]0;title\x07.png")
    plain = root / "plain"
    plain.mkdir()
    os.mkfifo(plain / "pipe.png")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(os.path.relpath(plain / "socket.png"))  # the path of a socket is short
    listening.close()
    (plain / "link.png").symlink_to(secret)
    (plain / "dangling.png").symlink_to("nowhere")
    (plain / "folder.png").mkdir()
    (plain / "loop").symlink_to(root)
    (root / "linked").symlink_to(secret.parent)
    (root / "loose.png").write_bytes(b"")
    shutil.copy(secret, plain / f"{UNDECODABLE}.png")
    (root / UNDECODABLE).mkdir()
    deep = plain.joinpath(*(str(level) for level in range(12)))
    deep.mkdir(parents=True)
    shutil.copy(secret, deep / "deep.png")
    return ["pipe.png", "socket.png", "link.png", "dangling.png", "loop", "linked", "loose.png", "7",
            "caf\\udce9.png", "caf\\udce9", "plain"]  # fmt: skip
