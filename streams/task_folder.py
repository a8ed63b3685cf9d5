"""A task folder on disk becomes a ``LoadedTask``: every usable image decoded, everything else quarantined."""

from __future__ import annotations

import unicodedata
from pathlib import Path

from continual_dml.errors import SettingsError
from continual_dml.ports import ProgressListener
from continual_dml.records import LoadedTask
from continual_dml.settings import StreamSettings
from streams.distinct_images import read_distinct
from streams.folder_scan import is_text, scan_folder
from streams.query_split import hold_out_queries, surplus_queries


def load_task(
    path: str | Path,
    *,
    name: str | None,
    side_pixels: int,
    settings: StreamSettings,
    listener: ProgressListener,
    pixel_directory: Path | None = None,
) -> LoadedTask:
    """Read all images of a task folder, in threads, and give each its role.

    Of files with the same content one is kept: a training copy before a test copy, then the first by category
    and path. The task may come out empty, with the reasons in its quarantine list.

    Args:
        path: ``PATH/<category>/*``, or ``PATH/train/<category>/*`` with ``PATH/test/<category>/*``.
        name: of the task, or None for the folder's own name.
        side_pixels: side S of the stored pixel squares.
        settings: limits, and how queries are held out.
        listener: told one unit per file.
        pixel_directory: where the pixels rest, or None for memory.

    Raises:
        StreamError: no such folder, or one that cannot be read as a task.
        EmptyTask: the folder has no category folders.
        SettingsError: the name is no text.
    """
    require_text(name)
    scan = scan_folder(path, settings)
    images = read_distinct(scan, side_pixels, settings, listener, pixel_directory)
    unused = 0
    if scan.has_given_queries:
        surplus = surplus_queries(images.records, settings.queries_per_category)
        if surplus:
            unused = len(surplus)
            listener.note(
                f"{unused} test images beyond {settings.queries_per_category} per category are not used"
            )
            rows = [row for row, one in enumerate(images.records) if one.content_hash not in surplus]
            images = images.only(rows)
        records = images.records
    else:
        records = hold_out_queries(images.records, settings.query_fraction, settings.queries_per_category)
    return LoadedTask(
        name=unicodedata.normalize("NFC", name or Path(scan.root).name),
        source=scan.root,
        records=tuple(records),
        pixels=images.pixels,
        quarantined=tuple(images.problems),
        twins=images.twins,
        unused=unused,
        fingerprints=images.fingerprints,
    )


def require_text(name: str | None) -> None:
    """Accept a name that the user gave, if any.

    Raises:
        SettingsError: it is no text.
    """
    if name is not None and not is_text(name):
        raise SettingsError(f"the task name {name!a} is not valid UTF-8; give another --name")
