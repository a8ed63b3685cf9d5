"""What the page of a report is made of, and what draws it: a small port, since the core draws nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from continual_dml.records import QuarantinedFile


@dataclass(frozen=True, slots=True)
class Picture:
    """Where the file of an image is, and the SHA-256 that its content must have to be shown."""

    path: str
    content_hash: str


@dataclass(frozen=True, slots=True, eq=False)
class ReportContent:
    """All that the page of a report shows.

    ``report``: see :mod:`continual_dml.reports`; ``details``: see
    :mod:`continual_dml.workflows.report_details`, None where a generation has none; ``categories``: names by
    id; ``pictures``: of images by id; ``quarantined``: files that were left out, by task and addition.
    """

    report: Mapping[str, Any]
    details: Mapping[str, Any] | None
    categories: Mapping[int, str]
    pictures: Mapping[int, Picture]
    quarantined: Sequence[tuple[str, Sequence[QuarantinedFile]]]


class ReportPainter(Protocol):
    """Draws the page of a report."""

    def paint(self, content: ReportContent) -> bytes:
        """Return the page: one file that needs no other."""
