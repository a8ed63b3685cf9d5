"""Decodes the files of a stream into one array of squares, of which every task shows a part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from continual_dml.errors import EmptyTask, StreamError, UnreadableImage
from continual_dml.ports import ProgressListener
from continual_dml.records import Experience, LabelledImages, LearningStream, Role
from continual_dml.settings import StreamSettings
from streams.folder_scan import FoundFile
from streams.image_reader import ReadImage, read_many
from streams.named.stream_files import FileGroup, StreamFiles, categories_of
from streams.pixel_rows import allocate_pixels

_MOST_UNREADABLE = 0.01  # of the files that a published list names


def read_stream(
    name: str,
    tasks: Sequence[FileGroup],
    found: StreamFiles,
    *,
    side_pixels: int,
    settings: StreamSettings,
    listener: ProgressListener,
    pixel_directory: Path | None,
) -> LearningStream:
    """Decode all files of ``tasks`` and the unseen files of ``found``, in threads.

    Labels count the categories from 0 over the whole stream, in learning order, the unseen ones last. Files
    that cannot be read are left out, and so are copies of an earlier file where no published list names them;
    both are told to ``listener`` in one line.

    Args:
        name: of the stream.
        tasks: with a role for every file.
        found: what the tasks were made from.
        side_pixels: side S of the squares.
        settings: limits.
        listener: told one unit per file.
        pixel_directory: where the squares rest, or None for memory.

    Raises:
        EmptyTask: a task without a usable training image.
        StreamError: more than one in a hundred of the listed files cannot be read.
    """
    parts = [_of_role(task.files, role) for task in tasks for role in (Role.GALLERY, Role.QUERY)]
    parts += [_of_role(found.unseen, Role.QUERY), _of_role(found.unseen, Role.GALLERY, None)]
    files = [file for part in parts for file in part]
    ids = {category: label for label, category in enumerate(categories_of(files))}
    reading = _Reading(allocate_pixels(len(files), side_pixels, pixel_directory), found.from_list)
    listener.start("reading images", len(files))
    images = read_many([file.path for file in files], side_pixels, settings, formats=found.formats)
    sections = []
    for part in parts:
        first = len(reading.labels)
        for file in part:
            reading.take(file, ids[file.category], next(images))
            listener.advance()
        sections.append((first, len(reading.labels)))
    reading.report(name, len(files), listener)
    experiences = []
    for number, task in enumerate(tasks):
        train, query = (reading.section(first, end) for first, end in sections[2 * number : 2 * number + 2])
        if not len(train):
            raise EmptyTask(f"{name}: task '{task.name}' has no usable training image; check its files")
        experiences.append(Experience(task.name, train, query))
    return LearningStream(name, tuple(experiences), *_unseen(reading, *sections[-2:]))


def _unseen(
    reading: _Reading, asked: tuple[int, int], gallery: tuple[int, int]
) -> tuple[LabelledImages | None, NDArray[np.bool_] | None]:
    """Return the unseen images and which of them ask; None for the latter where all ask one another."""
    first, end = asked[0], gallery[1]
    if first == end:
        return None, None
    asks = np.arange(first, end) < asked[1]
    return reading.section(first, end), None if asks.all() or not asks.any() else asks


@dataclass(slots=True)
class _Reading:
    """What has been decoded so far; row i of ``pixels`` has label ``labels[i]``."""

    pixels: NDArray[np.uint8]
    keeps_twins: bool
    labels: list[int] = field(default_factory=list)
    unreadable: list[UnreadableImage] = field(default_factory=list)
    twins: int = 0
    _hashes: set[str] = field(default_factory=set)

    def take(self, file: FoundFile, label: int, image: ReadImage | UnreadableImage) -> None:
        """Keep an image, unless it cannot be read or has the content of an earlier one."""
        if isinstance(image, UnreadableImage):
            self.unreadable.append(UnreadableImage(file.path, image.reason))
        elif image.content_hash in self._hashes and not self.keeps_twins:
            self.twins += 1
        else:
            self._hashes.add(image.content_hash)
            self.pixels[len(self.labels)] = image.pixels
            self.labels.append(label)

    def report(self, name: str, files: int, listener: ProgressListener) -> None:
        """Say what was left out; a published list of which much is missing is an error."""
        if self.unreadable:
            told = f"{name}: {len(self.unreadable):,} of {files:,} files cannot be read, first "
            if self.keeps_twins and len(self.unreadable) > _MOST_UNREADABLE * files:
                raise StreamError(f"{told}{self.unreadable[0]}; unpack the images where their list says")
            listener.note(f"{told}{self.unreadable[0]}")
        if self.twins:
            listener.note(f"{name}: {self.twins:,} files have the content of an earlier one and are left out")

    def section(self, first: int, end: int) -> LabelledImages:
        """Return rows ``first`` to ``end`` without copying them."""
        return LabelledImages(self.pixels[first:end], np.array(self.labels[first:end], dtype=np.int64))


def _of_role(files: Sequence[FoundFile], *roles: Role | None) -> list[FoundFile]:
    return [file for file in files if file.role in roles]
