"""The page of a generation's report: the one that was published with it, or one that is drawn now."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from storage.workspace import Workspace


def report_page(workspace: Workspace, generation: str | None = None) -> bytes:
    """Return the page in UTF-8, one HTML file that needs no other.

    Args:
        workspace: to read.
        generation: its number or a tag; None takes the live one.

    Raises:
        CatalogError: nothing is live yet, the catalogue cannot answer, or the files are not kept any more.
        UnknownChoice: there is no such generation or tag.
        CorruptIndex: a file is missing or differs from what was published.
    """
    from storage.summary import read_report_page

    published = read_report_page(workspace, generation)
    if published is not None:
        return published
    from cli.wiring import page_painter
    from storage.report_content import read_report_content

    return page_painter(workspace.settings).paint(read_report_content(workspace, generation))
