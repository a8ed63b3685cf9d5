"""The files of a generation that tell how well it retrieves: figures, details, and a page for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from continual_dml.ports import Artefacts, Draft, ProgressListener, SilentListener, Store
from continual_dml.records import CatalogItem, NewItem, TaskSummary
from continual_dml.report_pages import (
    DETAILS_FILE,
    PAGE_FILE,
    REPORT_FILE,
    ReportContent,
    ReportPainter,
    pictured_items,
    pictures_of,
    quarantined_in,
)

FILES = frozenset({REPORT_FILE, DETAILS_FILE, PAGE_FILE})


@dataclass(frozen=True, slots=True, eq=False)
class Pages:
    """Who draws pages, None where nobody does, and who is told where that fails."""

    painter: ReportPainter | None = None
    listener: ProgressListener = field(default_factory=SilentListener)


NO_PAGES = Pages()


@dataclass(frozen=True, slots=True, eq=False)
class Arriving:
    """What a generation brings that the catalogue does not know yet."""

    items: Sequence[NewItem] = ()
    categories: Mapping[int, str] | None = None
    tasks: Sequence[TaskSummary] = ()


NOTHING = Arriving()


def parent_details(parent: Artefacts) -> dict[str, Any] | None:
    """Return the details of a generation's report; None where an earlier cdml wrote none."""
    if DETAILS_FILE not in parent.names():
        return None
    found: dict[str, Any] = parent.read_json(DETAILS_FILE)
    return found


def write_report(
    draft: Draft,
    report: Mapping[str, Any],
    details: Mapping[str, Any] | None,
    store: Store,
    pages: Pages,
    arriving: Arriving = NOTHING,
) -> None:
    """Write a generation's figures, its details where there are any, and its page.

    A page that cannot be drawn is no reason to lose a generation: that is told, and it goes without.

    Args:
        draft: of the generation.
        report: its figures.
        details: what the page shows beside them.
        store: knows what the generation takes over.
        pages: who draws.
        arriving: what it brings.
    """
    draft.write_json(REPORT_FILE, report)
    if details is not None:
        draft.write_json(DETAILS_FILE, details)
    painter = pages.painter
    if painter is None:
        return
    try:
        page = painter.paint(content_of(report, details, store, arriving))
    except Exception as error:  # noqa: BLE001 - whatever libraries raise about a font, a picture or a name
        pages.listener.note(
            f"the report's page could not be drawn ({type(error).__name__}: {error}): the generation is "
            "published without it, `cdml report` shows the figures"
        )
    else:
        draft.write_bytes(PAGE_FILE, page)


def content_of(
    report: Mapping[str, Any], details: Mapping[str, Any] | None, store: Store, arriving: Arriving
) -> ReportContent:
    """Return what the page of a generation that is being built shows."""
    shown = [] if details is None else pictured_items(details)
    new = {item.item_id: item for item in arriving.items}
    items: dict[int, CatalogItem | NewItem] = {item: new[item] for item in shown if item in new}
    items.update(store.items([item for item in shown if item not in new]))
    categories = {number: name for name, number in store.category_ids().items()}
    return ReportContent(
        report=report,
        details=details,
        categories={**categories, **(arriving.categories or {})},
        pictures=pictures_of(items, store.query_copy_path),
        quarantined=quarantined_in([*store.tasks(), *store.additions(), *arriving.tasks]),
    )
