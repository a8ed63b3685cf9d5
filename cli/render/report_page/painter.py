"""Draws the page of a report from templates: implements ``continual_dml.report_pages.ReportPainter``."""

from __future__ import annotations

from functools import lru_cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from cli.render.report_page.retrievals import Retrievals
from cli.render.report_page.thumbnails import thumbnails
from cli.render.report_page.view import page_view
from cli.render.tables import NUMERIC
from cli.shell import printable
from continual_dml.report_pages import ReportContent
from continual_dml.settings import StreamSettings

ISOLATE, POP_ISOLATE = "\u2068", "\u2069"


class PagePainter:
    """Draws one self-contained HTML file.

    Args:
        limits: largest file and image to open for its small pictures.
    """

    def __init__(self, limits: StreamSettings) -> None:
        self._limits = limits

    def paint(self, content: ReportContent) -> bytes:
        """Return the page in UTF-8; pictures whose file is gone or has changed are left blank."""
        retrievals = None if content.details is None else Retrievals(content.details, content.categories)
        shown = set() if retrievals is None else retrievals.items()
        wanted = {number: content.pictures[number] for number in sorted(shown & content.pictures.keys())}
        view = page_view(content, retrievals)
        page = (
            _environment().get_template("page.html").render(view, pictures=thumbnails(wanted, self._limits))
        )
        return page.encode("utf-8")


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("cli.render.report_page"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_spelled_out,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["isolated"] = isolated
    environment.tests["numeric"] = NUMERIC.issuperset
    return environment


def isolated(text: str) -> Markup:
    """Return a name for a place that has no elements: its direction must not turn what stands beside it."""
    return Markup("{}{}{}").format(ISOLATE, printable(text), POP_ISOLATE)


def _spelled_out(value: object) -> object:
    """Spell control characters of names out, also those that turn the direction of what follows."""
    return value if isinstance(value, Markup) or not isinstance(value, str) else printable(value)
