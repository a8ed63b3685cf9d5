"""Holds out queries by content, so that the same image always gets the same role."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from continual_dml.records import ImageRecord, Role

_HASH_DIGITS = 16
_HASH_RANGE = float(16**_HASH_DIGITS)


def hold_out_queries(
    records: Sequence[ImageRecord], fraction: float, most_per_category: int
) -> list[ImageRecord]:
    """Return ``records``, in their order, with roles by category and content hash.

    An image is a query where its hash, read as a number in [0, 1), lies below ``fraction``. Each image thus
    decides for itself, and a new file moves no other one. Three repairs per category, each by smallest hash:
    at least one query where there are two images, at least one gallery image, at most ``most_per_category``
    queries (the rest are gallery). Through a repair one new file can move at most one other file.

    Args:
        records: with distinct content hashes; their roles are ignored.
        fraction: expected share of queries, 0 for none at all.
        most_per_category: cap on the queries of a category.
    """
    by_category: dict[str, list[str]] = defaultdict(list)
    for record in records:
        by_category[record.category].append(record.content_hash)
    queries: set[str] = set()
    for hashes in by_category.values():
        queries.update(_queries(sorted(hashes), fraction, most_per_category))
    return [
        replace(record, role=Role.QUERY if record.content_hash in queries else Role.GALLERY)
        for record in records
    ]


def surplus_queries(records: Sequence[ImageRecord], most_per_category: int) -> set[str]:
    """Return the hashes of the given queries beyond the cap of their category: its largest ones."""
    by_category: dict[str, list[str]] = defaultdict(list)
    for record in records:
        if record.role is Role.QUERY:
            by_category[record.category].append(record.content_hash)
    return {
        content_hash for hashes in by_category.values() for content_hash in sorted(hashes)[most_per_category:]
    }


def _queries(hashes: list[str], fraction: float, most: int) -> list[str]:
    """Return the queries of one category: the smallest of its sorted ``hashes``."""
    if fraction <= 0 or len(hashes) == 1:
        return []
    below = bisect_left(hashes, fraction, key=_position)
    return hashes[: min(max(below, 1), len(hashes) - 1, most)]


def _position(content_hash: str) -> float:
    return int(content_hash[:_HASH_DIGITS], 16) / _HASH_RANGE
