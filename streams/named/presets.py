"""What a named stream is: where its images come from, its protocol, and its published counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from continual_dml.errors import StreamError
from continual_dml.records import Role
from continual_dml.settings import StreamSettings
from streams.folder_scan import FoundFile
from streams.named.stream_files import FileGroup, StreamFiles, categories_of


@dataclass(frozen=True, slots=True)
class SplitCounts:
    """Published numbers of categories, images and queries among them; None where none is published."""

    categories: int
    images: int | None = None
    queries: int | None = None


@dataclass(frozen=True, slots=True)
class PublishedCounts:
    """Published numbers: of all tasks together, of each task, and of the unseen classes."""

    total: SplitCounts | None = None
    tasks: tuple[SplitCounts, ...] = ()
    unseen: SplitCounts | None = None


@dataclass(frozen=True, slots=True)
class StreamPreset:
    """A stream by name.

    ``description``, ``protocol`` and ``how_to_get`` are for people. ``find_files`` reads the layout of a data
    folder. ``task_sizes`` are the categories per task that are used where none are asked for; empty where the
    data are divided into tasks already, or the number of categories decides. ``query_fraction`` is held out
    per category where the data give no queries; None takes the setting. ``recall_at`` are the K that papers
    report for it. ``render`` draws the data (folder, side in pixels, seed) where there are none to get.
    """

    name: str
    description: str
    protocol: str
    how_to_get: str
    find_files: Callable[[Path, StreamSettings], StreamFiles]
    task_sizes: tuple[int, ...] = ()
    query_fraction: float | None = None
    recall_at: tuple[int, ...] = (1, 2, 4, 8)
    published: PublishedCounts | None = None
    render: Callable[[Path, int, int], None] | None = None

    @property
    def needs_data(self) -> bool:
        """Whether there are data to get first."""
        return self.render is None


def check_published_counts(
    preset: StreamPreset, tasks: Sequence[FileGroup], unseen: Sequence[FoundFile]
) -> None:
    """Compare the files of a stream with the counts that were published for its protocol.

    Files are counted as listed, before any is decoded. Not called where task sizes were asked for: these make
    a protocol of one's own, and are the way to work with a part of a data set.

    Raises:
        StreamError: a number differs; both are named.
    """
    published = preset.published
    if published is None:
        return
    if published.total is not None:
        everything = [file for task in tasks for file in task.files]
        _compare(preset.name, "all tasks", published.total, everything)
    if published.tasks and len(published.tasks) != len(tasks):
        raise StreamError(_differs(preset.name, "the stream", "tasks", len(tasks), len(published.tasks)))
    for counts, task in zip(published.tasks, tasks, strict=False):
        _compare(preset.name, f"'{task.name}'", counts, task.files)
    if published.unseen is not None:
        _compare(preset.name, "the unseen half", published.unseen, unseen)


def _compare(stream: str, part: str, published: SplitCounts, files: Sequence[FoundFile]) -> None:
    found = {
        "categories": (len(categories_of(files)), published.categories),
        "images": (len(files), published.images),
        "query images": (sum(file.role is Role.QUERY for file in files), published.queries),
    }
    for what, (count, expected) in found.items():
        if expected is not None and count != expected:
            raise StreamError(_differs(stream, part, what, count, expected))


def _differs(stream: str, part: str, what: str, count: int, expected: int) -> str:
    return (
        f"{stream}: {part} has {count:,} {what}, the published split has {expected:,}; "
        "complete the data set, or give task sizes of your own to work with a part of it"
    )
