"""The page of a report in a real browser: nothing is asked of a network, and everybody can read it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from cli.render.report_page.painter import PagePainter
from continual_dml.records import QuarantinedFile
from continual_dml.settings import StreamSettings
from tests.browsers import browsing, needs_chromium, serious_findings
from tests.cli.told_reports import told_content

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

pytestmark = needs_chromium
NAMES = ["latin", "<script>alert(1)</script>", "x" * 200, "שלום עולם", "evil\u202egpj.exe"]


class Seen(NamedTuple):
    """An open page, what it wrote to the console, and what it asked for besides itself."""

    page: Page
    console: list[str]
    asked: list[str]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browsing() as browser:
        yield browser


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    pictures = folder / "pictures"
    pictures.mkdir()
    left_out = [QuarantinedFile("/photos/owl/" + "y" * 200, "empty file")]
    content = told_content(NAMES, NAMES, pictures, left_out)
    (folder / "report.html").write_bytes(PagePainter(StreamSettings()).paint(content))
    return folder / "report.html"


@pytest.fixture(params=[(1280, "light"), (390, "dark")], ids=["wide-light", "phone-dark"])
def seen(request: pytest.FixtureRequest, chromium: Browser, drawn: Path) -> Iterator[Seen]:
    width, scheme = request.param
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page, console, asked = context.new_page(), [], []
    page.on("console", lambda message: console.append(message.text))
    page.on("pageerror", lambda error: console.append(str(error)))
    page.on("request", lambda one: None if one.url.startswith("data:") else asked.append(one.url))
    page.goto(drawn.as_uri())
    yield Seen(page, console, asked)
    context.close()


def test_a_page_is_whole_readable_and_asks_for_nothing_else(seen: Seen, drawn: Path) -> None:
    page = seen.page
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "no sideways scrolling"
    assert page.locator("script").count() == 0
    assert page.evaluate("[...document.images].every(image => image.naturalWidth === 96)")
    assert page.locator("h2").count() >= 11
    assert serious_findings(page) == []
    assert seen.asked == [drawn.as_uri()]
    assert seen.console == []


def test_its_links_and_its_details_work_by_keyboard(seen: Seen) -> None:
    page = seen.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the report"
    page.locator("nav a", has_text="Definitions").press("Enter")
    assert page.url.endswith("#definitions")
    table = page.get_by_role("table", name="Recall@1, within the task")
    assert not table.is_visible()
    page.locator("summary").first.press("Enter")
    assert table.is_visible()
