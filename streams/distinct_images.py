"""Reads the files of a scanned folder, each once, and keeps one of those with the same content."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from continual_dml.errors import UnreadableImage
from continual_dml.fingerprints import WORDS, fingerprint
from continual_dml.ports import ProgressListener
from continual_dml.records import ImageRecord, QuarantinedFile, Role
from continual_dml.settings import StreamSettings
from streams.folder_scan import FolderScan, FoundFile
from streams.image_reader import ReadImage, read_many
from streams.pixel_rows import allocate_pixels, keep_rows


@dataclass(slots=True, eq=False)
class DistinctImages:
    """Images of distinct content: ``pixels[i]`` and ``fingerprints[i]`` belong to ``records[i]``.

    ``problems``: files that were left out, with reasons; ``twins`` of them have the content of a record.
    """

    records: list[ImageRecord]
    pixels: NDArray[np.uint8]
    fingerprints: NDArray[np.uint64]
    problems: list[QuarantinedFile]
    twins: int

    def only(self, rows: list[int]) -> DistinctImages:
        """Return the images in ``rows``, ascending; this value is of no use afterwards."""
        records = [self.records[row] for row in rows]
        pixels = keep_rows(self.pixels, rows)
        return DistinctImages(records, pixels, self.fingerprints[rows], self.problems, self.twins)


def read_distinct(
    scan: FolderScan,
    side_pixels: int,
    settings: StreamSettings,
    listener: ProgressListener,
    pixel_directory: Path | None,
) -> DistinctImages:
    """Read all files of ``scan``, in threads.

    Of files with the same content one is kept: a training copy before a test copy, then the first by category
    and path.

    Args:
        scan: what lies in the folder.
        side_pixels: side S of the stored pixel squares.
        settings: limits.
        listener: told one unit per file.
        pixel_directory: where the pixels rest, or None for memory.

    Raises:
        StreamError: there is no room for the pixels.
    """
    files = sorted(scan.files, key=_reading_order)
    reading = _Reading(scan, allocate_pixels(len(files), side_pixels, pixel_directory))
    listener.start("reading images", len(files))
    images = read_many([file.path for file in files], side_pixels, settings)
    for file, image in zip(files, images, strict=True):
        reading.take(file, image)
        listener.advance()
    return DistinctImages(
        reading.records,
        reading.pixels[: len(reading.records)],
        np.array(reading.fingerprints, dtype=np.uint64).reshape(-1, WORDS),
        [*scan.problems, *reading.problems, *reading.empty_categories()],
        reading.twins,
    )


@dataclass(slots=True)
class _Reading:
    """What has been read so far; the pixels of ``records[i]`` stand in ``pixels[i]``."""

    scan: FolderScan
    pixels: NDArray[np.uint8]
    records: list[ImageRecord] = field(default_factory=list)
    fingerprints: list[NDArray[np.uint64]] = field(default_factory=list)
    problems: list[QuarantinedFile] = field(default_factory=list)
    twins: int = 0
    _by_hash: dict[str, ImageRecord] = field(default_factory=dict)

    def take(self, file: FoundFile, image: ReadImage | UnreadableImage) -> None:
        """Keep a new image; leave out an unreadable one and one whose content is known."""
        if isinstance(image, UnreadableImage):
            self.problems.append(QuarantinedFile(file.path, image.reason))
            return
        twin = self._by_hash.get(image.content_hash)
        if twin is not None:
            self.problems.append(QuarantinedFile(file.path, self._same_content(file, twin)))
            self.twins += 1
            return
        role = file.role or Role.GALLERY
        record = ImageRecord(file.path, image.content_hash, file.category, role, image.size_bytes)
        self.pixels[len(self.records)] = image.pixels
        self.records.append(record)
        self.fingerprints.append(fingerprint(image.pixels))
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
