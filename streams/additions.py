"""Images to be added without a task: category folders, or single images that the user named."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from continual_dml.errors import EmptyTask, SettingsError, StreamError
from continual_dml.ports import ProgressListener
from continual_dml.records import LoadedTask, QuarantinedFile
from continual_dml.settings import StreamSettings
from streams.distinct_images import read_distinct
from streams.folder_scan import FolderScan, FoundFile, is_hidden, is_text, scan_folder
from streams.task_folder import require_text


def load_addition(
    paths: Sequence[Path],
    *,
    category: str | None,
    name: str | None,
    side_pixels: int,
    settings: StreamSettings,
    listener: ProgressListener,
    pixel_directory: Path | None = None,
) -> LoadedTask:
    """Read images as a task's are read, all for the gallery: none is held out.

    Args:
        paths: folders ``PATH/<category>/*``; or, with ``category``, image files. A link in the user's own
            words is followed, others are not.
        category: of all images, or None where folders name it.
        name: of the addition, or None for that of the category or the folder.
        side_pixels: side S of the stored pixel squares.
        settings: limits; ``max_files`` holds for all paths together.
        listener: told one unit per file.
        pixel_directory: where the pixels rest, or None for memory.

    Raises:
        StreamError: a path is not there or cannot be read, or holds out images by its ``test`` folder.
        EmptyTask: a folder has no category folders.
        SettingsError: the name or the category is no name.
    """
    require_text(name)
    if category is None:
        scan = _folders(paths, settings)
        default = Path(scan.root).name or Path(paths[0]).resolve().name
    else:
        scan = _images(paths, _category(category), settings)
        default = category
    images = read_distinct(scan, side_pixels, settings, listener, pixel_directory)
    return LoadedTask(
        name=unicodedata.normalize("NFC", name or default),
        source=scan.root,
        records=tuple(images.records),
        pixels=images.pixels,
        quarantined=tuple(images.problems),
        twins=images.twins,
        fingerprints=images.fingerprints,
    )


def _folders(paths: Sequence[Path], settings: StreamSettings) -> FolderScan:
    """Return what lies in all folders together."""
    files: dict[str, FoundFile] = {}
    problems: dict[str, QuarantinedFile] = {}
    categories: dict[str, str] = {}
    roots = []
    for path in paths:
        if path.is_file():
            raise StreamError(f"{_shown(path)} is a file: say its category with --category NAME")
        scan = _scanned(path, settings)
        if scan.has_given_queries:
            raise StreamError(
                f"{scan.root} has the folders train and test, and an addition holds nothing out: name "
                f"{scan.root}/train, and {scan.root}/test if its images are to be found as well"
            )
        roots.append(scan.root)
        files |= {file.path: file for file in scan.files}
        problems |= {problem.path: problem for problem in scan.problems}
        for category, folder in scan.category_folders.items():
            categories.setdefault(category, folder)
    _require_few(len(files), settings)
    root = os.path.commonpath(roots)
    return FolderScan(root, tuple(files.values()), tuple(problems.values()), categories, False)


def _scanned(path: Path, settings: StreamSettings) -> FolderScan:
    try:
        return scan_folder(path, settings)
    except EmptyTask:
        raise EmptyTask(
            f"no category folders in {_shown(path)}; name the folder that holds one folder of images for "
            "each category, or name images and --category NAME"
        ) from None


def _images(paths: Sequence[Path], category: str, settings: StreamSettings) -> FolderScan:
    """Return the named files as those of one category."""
    files: dict[str, FoundFile] = {}
    problems: dict[str, QuarantinedFile] = {}
    for path in paths:
        try:
            found = path.resolve(strict=True)
        except FileNotFoundError:
            raise StreamError(f"no such file: {_shown(path)}; check the path") from None
        except (OSError, RuntimeError, ValueError) as error:
            raise StreamError(f"cannot open {_shown(path)}: {error}; check the path") from error
        if found.is_dir():
            raise StreamError(
                f"{_shown(path)} is a folder: with --category name images, or leave --category out for "
                "folders PATH/<category>/*"
            )
        if is_text(str(found)):
            files[str(found)] = FoundFile(str(found), category, None)
        else:
            problems[str(found)] = QuarantinedFile(_shown(found), "its name is not valid UTF-8")
    _require_few(len(files), settings)
    root = os.path.commonpath([str(Path(path).parent) for path in (*files, *problems)])
    return FolderScan(_shown(Path(root)), tuple(files.values()), tuple(problems.values()), {}, False)


def is_category_name(given: str) -> bool:
    """Return whether a folder, and so a category, can be called that."""
    return (
        bool(given) and "/" not in given and "\x00" not in given and not is_hidden(given) and is_text(given)
    )


def _category(given: str) -> str:
    """Return the category's name in Unicode form NFC; only what a folder can be called is one."""
    if not is_category_name(given):
        raise SettingsError(
            f"--category {given!a}: a category is named as a folder is: no '/', no dot before it, not empty"
        )
    return unicodedata.normalize("NFC", given)


def _require_few(count: int, settings: StreamSettings) -> None:
    if count > settings.max_files:
        raise StreamError(
            f"more than {settings.max_files:,} files; add them in several steps, or raise max_files"
        )


def _shown(path: Path) -> str:
    return str(path).encode("utf-8", "backslashreplace").decode("utf-8")
