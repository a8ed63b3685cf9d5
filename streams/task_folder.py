"""A task folder on disk becomes a ``LoadedTask``: every usable image decoded, everything else quarantined."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from continual_dml.errors import SettingsError, UnreadableImage
from continual_dml.ports import ProgressListener
from continual_dml.records import ImageRecord, LoadedTask, QuarantinedFile, Role
from continual_dml.settings import StreamSettings
from streams.folder_scan import FolderScan, FoundFile, is_text, scan_folder
from streams.image_reader import ReadImage, read_many
from streams.pixel_rows import allocate_pixels, keep_rows
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
    if name is not None and not is_text(name):
        raise SettingsError(f"the task name {name!a} is not valid UTF-8; give another --name")
    scan = scan_folder(path, settings)
    files = sorted(scan.files, key=_reading_order)
    reading = _Reading(scan, allocate_pixels(len(files), side_pixels, pixel_directory))
    listener.start("reading images", len(files))
    images = read_many([file.path for file in files], side_pixels, settings)
    for file, image in zip(files, images, strict=True):
        reading.take(file, image)
        listener.advance()
    records, pixels = reading.records, reading.pixels[: len(reading.records)]
    if scan.has_given_queries:
        records, pixels = _without_surplus(records, pixels, settings, listener)
    else:
        records = hold_out_queries(records, settings.query_fraction, settings.queries_per_category)
    return LoadedTask(
        name=unicodedata.normalize("NFC", name or Path(scan.root).name),
        source=scan.root,
        records=tuple(records),
        pixels=pixels,
        quarantined=(*scan.problems, *reading.problems, *reading.empty_categories()),
    )


@dataclass(slots=True)
class _Reading:
    """What has been read so far; the pixels of ``records[i]`` stand in ``pixels[i]``."""

    scan: FolderScan
    pixels: NDArray[np.uint8]
    records: list[ImageRecord] = field(default_factory=list)
    problems: list[QuarantinedFile] = field(default_factory=list)
    _by_hash: dict[str, ImageRecord] = field(default_factory=dict)

    def take(self, file: FoundFile, image: ReadImage | UnreadableImage) -> None:
        """Keep a new image; leave out an unreadable one and one whose content is known."""
        if isinstance(image, UnreadableImage):
            self.problems.append(QuarantinedFile(file.path, image.reason))
            return
        twin = self._by_hash.get(image.content_hash)
        if twin is not None:
            self.problems.append(QuarantinedFile(file.path, self._same_content(file, twin)))
            return
        role = file.role or Role.GALLERY
        record = ImageRecord(file.path, image.content_hash, file.category, role, image.size_bytes)
        self.pixels[len(self.records)] = image.pixels
        self.records.append(record)
        self._by_hash[image.content_hash] = record

    def empty_categories(self) -> list[QuarantinedFile]:
        """Return a row for the folder of each category that brought nothing."""
        used = {record.category for record in self.records}
        return [
            QuarantinedFile(folder, "no usable image in category")
            for category, folder in sorted(self.scan.category_folders.items())
            if category not in used
        ]

    def _same_content(self, file: FoundFile, twin: ImageRecord) -> str:
        where = Path(twin.path).relative_to(self.scan.root)
        reason = f"same content as {where}"
        return reason if twin.category == file.category else f"{reason} in category {twin.category}"


def _reading_order(file: FoundFile) -> tuple[bool, str, str]:
    return file.role is Role.QUERY, file.category, file.path


def _without_surplus(
    records: list[ImageRecord],
    pixels: NDArray[np.uint8],
    settings: StreamSettings,
    listener: ProgressListener,
) -> tuple[list[ImageRecord], NDArray[np.uint8]]:
    surplus = surplus_queries(records, settings.queries_per_category)
    if not surplus:
        return records, pixels
    rows = [row for row, record in enumerate(records) if record.content_hash not in surplus]
    listener.note(
        f"{len(surplus)} test images beyond {settings.queries_per_category} per category are not used"
    )
    return [records[row] for row in rows], keep_rows(pixels, rows)
