"""What goes in as images, and what comes out as figures."""

from __future__ import annotations

from dataclasses import dataclass

from continual_dml.errors import SettingsError
from continual_dml.settings.checks import between


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """What counts as a usable image, and how queries are held out."""

    query_fraction: float = 0.2
    queries_per_category: int = 100
    max_file_bytes: int = 64 * 2**20
    max_pixels: int = 40_000_000
    max_files: int = 5_000_000
    decode_threads: int = 0

    def __post_init__(self) -> None:
        between("query-fraction", self.query_fraction, 0.0, 0.9)
        between("queries-per-category", self.queries_per_category, 1, 1_000_000)
        between("max-file-bytes", self.max_file_bytes, 1, 2**40)
        between("max-pixels", self.max_pixels, 1, 2**40)
        between("max-files", self.max_files, 1, 2**40)
        between("decode-threads", self.decode_threads, 0, 1024)


@dataclass(frozen=True, slots=True)
class EvaluationSettings:
    """What is reported after each task.

    ``earlier_queries``: at most so many held-out images of earlier tasks, the same number of each, are asked
    again after a new task, so that measuring does not grow with everything that was ever learned.
    ``false_accepts``: at most this share of queries of unknown categories shall have a match; 0: every query
    has one.
    """

    recall_at: tuple[int, ...] = (1, 2, 4, 8)
    earlier_queries: int = 2000
    false_accepts: float = 0.05

    def __post_init__(self) -> None:
        between("earlier-queries", self.earlier_queries, 1, 10**9)
        between("false-accepts", self.false_accepts, 0.0, 0.5)
        if not self.recall_at or any(k < 1 for k in self.recall_at):
            raise SettingsError("recall_at needs at least one K of 1 or more")
