"""Finds the image files of a task folder. Every name on disk is data; no link is followed."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from continual_dml.errors import EmptyTask, StreamError
from continual_dml.records import QuarantinedFile, Role
from continual_dml.settings import StreamSettings

DEPTH_LIMIT = 8
_SYSTEM_NAMES = {"thumbs.db", "desktop.ini", "__macosx"}
_GIVEN_ROLES = {"train": Role.GALLERY, "test": Role.QUERY}


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A regular file inside a category folder; ``role`` is None where queries are still to be held out."""

    path: str
    category: str
    role: Role | None


@dataclass(frozen=True, slots=True)
class FolderScan:
    """What lies in a task folder, sorted: files to read, what cannot be used, and each category's folder."""

    root: str
    files: tuple[FoundFile, ...]
    problems: tuple[QuarantinedFile, ...]
    category_folders: Mapping[str, str]
    has_given_queries: bool


def scan_folder(path: str | Path, limits: StreamSettings) -> FolderScan:
    """List the files of ``PATH/<category>/*``, or of ``PATH/train/<category>/*`` and ``PATH/test/...``.

    The second layout holds where both ``train`` and ``test`` exist and contain folders. Folders inside a
    category belong to it. Hidden files are passed over; links, special files, files outside a category and
    folders too deep are problems. Category names are compared and returned in Unicode form NFC.

    Raises:
        StreamError: no such folder, unreadable, more than ``max_files`` entries, or only half of train/test.
        EmptyTask: the folder has no category folders.
    """
    root = _existing_folder(path)
    halves = _given_halves(root)
    walk = _Walk(limits, root)
    if halves:
        walk.beside_halves(root)
        for name, role in _GIVEN_ROLES.items():
            walk.categories(str(root / name), role)
    else:
        walk.categories(str(root), None)
    if not walk.category_folders:
        raise EmptyTask(
            f"no category folders in {_shown(str(root))}; put the images of each category into its own "
            "folder: PATH/<category>/*.jpg"
        )
    return FolderScan(
        str(root),
        tuple(sorted(walk.files, key=lambda file: (file.category, file.path))),
        tuple(sorted(walk.problems, key=lambda problem: problem.path)),
        walk.category_folders,
        halves,
    )


class _Walk:
    """Walks one task folder and collects what it meets."""

    def __init__(self, limits: StreamSettings, root: Path) -> None:
        self.files: list[FoundFile] = []
        self.problems: list[QuarantinedFile] = []
        self.category_folders: dict[str, str] = {}
        self._limits = limits
        self._root = root
        self._entries_seen = 0

    def beside_halves(self, root: Path) -> None:
        """Report what lies beside ``train`` and ``test``."""
        for entry, _ in self._entries(str(root)):
            if entry.name not in _GIVEN_ROLES:
                self._leave_out(entry.path, "beside the train and test folders, not read")

    def categories(self, folder: str, role: Role | None) -> None:
        """Take each folder in ``folder`` for a category."""
        for entry, kind in self._entries(folder):
            if kind == "folder":
                category = unicodedata.normalize("NFC", entry.name)
                self.category_folders.setdefault(category, entry.path)
                self._category(entry.path, category, role, depth=1)
            elif kind == "link":
                self._leave_out(entry.path, "symbolic link, not followed")
            else:
                self._leave_out(entry.path, "not inside a category folder")

    def _category(self, folder: str, category: str, role: Role | None, depth: int) -> None:
        for entry, kind in self._entries(folder):
            if kind == "link":
                self._leave_out(entry.path, "symbolic link, not followed")
            elif kind == "file":
                self.files.append(FoundFile(entry.path, category, role))
            elif kind != "folder":
                self._leave_out(entry.path, "not a regular file")
            elif depth >= DEPTH_LIMIT:
                self._leave_out(entry.path, f"more than {DEPTH_LIMIT} folders deep, not read")
            else:
                self._category(entry.path, category, role, depth + 1)

    def _entries(self, folder: str) -> list[tuple[os.DirEntry[str], str]]:
        """Return the usable entries of ``folder`` by name, with kinds; an unreadable one is a problem."""
        usable = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    self._count()
                    if is_hidden(entry.name):
                        continue
                    if is_text(entry.name):
                        usable.append((entry, _kind(entry)))
                    else:
                        self._leave_out(entry.path, "its name is not valid UTF-8")
        except OSError as error:
            self._leave_out(folder, f"folder cannot be read: {error.strerror}")
        return sorted(usable, key=lambda found: found[0].name)

    def _count(self) -> None:
        self._entries_seen += 1
        if self._entries_seen > self._limits.max_files:
            raise StreamError(
                f"more than {self._limits.max_files:,} files in {self._root}; "
                "split it into several tasks, or raise max_files"
            )

    def _leave_out(self, path: str, reason: str) -> None:
        self.problems.append(QuarantinedFile(_shown(path), reason))


def _existing_folder(path: str | Path) -> Path:
    """Return the folder that the user named, absolute; a link in his own words is followed."""
    shown = _shown(str(path))
    try:
        root = Path(path).resolve(strict=True)
    except FileNotFoundError:
        raise StreamError(f"no such folder: {shown}; check the path") from None
    except (OSError, RuntimeError, ValueError) as error:
        raise StreamError(f"cannot open folder {shown}: {error}; check the path") from error
    if not root.is_dir():
        raise StreamError(f"{shown} is not a folder; name the folder that holds the category folders")
    if not is_text(str(root)):
        raise StreamError(f"the path {shown} is not valid UTF-8; rename the folder")
    if not os.access(root, os.R_OK | os.X_OK):
        raise StreamError(f"no permission to read folder {shown}; change its access rights")
    return root


def _given_halves(root: Path) -> bool:
    """Return whether ``root`` has the train/test layout.

    Raises:
        StreamError: one half only; read as a category, all its classes would melt into one named 'train'.
    """
    halves = {name: _folders_and_files(root / name) for name in _GIVEN_ROLES}
    if all(folders for folders, _ in halves.values()):
        return True
    for name, (folders, files) in halves.items():
        if folders and not files:
            other = "test" if name == "train" else "train"
            raise StreamError(
                f"{root} has category folders in '{name}' but none in '{other}'; "
                f"add {other}/<category>/, or use {root / name} as the task folder"
            )
    return False


def _folders_and_files(folder: Path) -> tuple[int, int]:
    """Count the sub-folders of ``folder`` and everything else in it; nothing where it is no real folder."""
    if folder.is_symlink() or not folder.is_dir():
        return 0, 0
    try:
        with os.scandir(folder) as entries:
            kinds = [entry.is_dir(follow_symlinks=False) for entry in entries if not is_hidden(entry.name)]
    except OSError:
        return 0, 0
    return sum(kinds), len(kinds) - sum(kinds)


def _kind(entry: os.DirEntry[str]) -> str:
    """Return what an entry is; some file systems only say so on request, and may refuse."""
    try:
        if entry.is_symlink():
            return "link"
        if entry.is_dir(follow_symlinks=False):
            return "folder"
        return "file" if entry.is_file(follow_symlinks=False) else "other"
    except OSError:
        return "other"


def is_hidden(name: str) -> bool:
    """Return whether a name is passed over: a dot before it, or what systems leave in folders."""
    return name.startswith(".") or name.lower() in _SYSTEM_NAMES


def is_text(name: str) -> bool:
    """Return whether a name can be kept as text: undecodable bytes reach Python as lone surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _shown(path: str) -> str:
    return path.encode("utf-8", "backslashreplace").decode("utf-8")
