"""The user guide: it builds without a warning, its links lead somewhere, and it asks nobody for anything."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

import pytest

import cli
from cli.app import command_line
from cli.reference import GROUPS, reference
from continual_dml.metrics.definitions import COMPATIBILITY_DEFINITIONS, NO_MATCH_DEFINITIONS
from continual_dml.metrics.forgetting import DEFINITIONS, RecallMatrix
from tests.browsers import browsing, needs_chromium, page_of, serious_findings

ROOT = Path(cli.__file__).parent.parent
DOCS = ROOT / "docs"
LOADED = {"script": "src", "img": "src", "link": "href", "source": "src", "iframe": "src", "video": "src"}
NOT_FETCHED = {"canonical", "next", "prev", "alternate"}


class Page(HTMLParser):
    """What a page links to, loads, and can be linked at."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.images: list[dict[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if found.get("id"):
            self.anchors.add(str(found["id"]))
        if tag == "a" and found.get("href"):
            self.links.append(str(found["href"]))
        if tag == "img":
            self.images.append(found)
        value = found.get(LOADED.get(tag, ""))
        if value and not (tag == "link" and set((found.get("rel") or "").split()) & NOT_FETCHED):
            self.loaded.append(value)


class Silent(SimpleHTTPRequestHandler):
    """Serves files and says nothing of it."""

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The guide, built as `make docs` does; every warning of mkdocs is an error."""
    folder = tmp_path_factory.mktemp("guide")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {page: Page(page.read_text(encoding="utf-8")) for page in site.rglob("*.html")}


def test_every_document_is_a_page_of_the_guide(pages, site):
    documents = {page.relative_to(DOCS).with_suffix(".html").as_posix() for page in DOCS.rglob("*.md")}

    assert documents - {page.relative_to(site).as_posix() for page in pages} == set()


def test_every_link_leads_to_a_page_and_a_place_that_are_there(pages, site):
    wrong = []
    for page, parsed in pages.items():
        for link in (*parsed.links, *parsed.loaded):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            base = site if parts.path.startswith("/") else page.parent
            target = (base / unquote(parts.path).lstrip("/")).resolve() if parts.path else page.resolve()
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file():
                wrong.append(f"{page.name}: {link}")
            elif parts.fragment and target.suffix == ".html":
                there = pages[target].anchors
                if unquote(parts.fragment) not in there and parts.fragment != "__skip":
                    wrong.append(f"{page.name}: {link}")

    assert wrong == []


def test_the_guide_loads_nothing_from_elsewhere(pages, site):
    outside = [
        f"{page.name}: {one}"
        for page, parsed in pages.items()
        for one in parsed.loaded
        if urlsplit(one).netloc
    ]
    styles = [
        f"{style.name}: {one}"
        for style in site.rglob("*.css")
        for one in re.findall(r"(?:url\(|@import\s*)[\"']?(https?://[^\"')]+)", style.read_text("utf-8"))
    ]

    assert outside + styles == []


@needs_chromium
@pytest.mark.parametrize("width", [1280, 400])
def test_pages_can_be_read_in_light_and_dark_and_searched(site, width):
    handler = partial(Silent, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, browsing() as browser:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/"
        for dark, name in ((False, "cli.html"), (True, "tutorials/glyphs.html")):
            with page_of(browser, address, width=width, dark=dark) as page:
                page.goto(address + name)
                page.wait_for_load_state("networkidle")

                assert serious_findings(page) == []
                assert page.evaluate("document.documentElement.scrollWidth") <= width
        if width > 1000:
            with page_of(browser, address, width=width) as page:
                page.goto(address + "index.html")
                page.get_by_role("textbox", name="Search").fill("refresh efficiency")
                page.wait_for_selector(".md-search-result__item a[href*='concepts/refresh.html']")
        server.shutdown()


def test_every_picture_is_described(pages):
    assert [image for parsed in pages.values() for image in parsed.images if not image.get("alt")] == []


@pytest.mark.parametrize("document", [*DOCS.rglob("*.md"), ROOT / "README.md"], ids=lambda one: one.name)
def test_documents_tell_commands_with_flags_that_they_have(document):
    whole = command_line()
    everywhere = {flag for parameter in whole.params for flag in (*parameter.opts, *parameter.secondary_opts)}
    wrong = []
    for told in re.findall(r"(?:^\$ |`)(cdml [^`\n#]+)", document.read_text("utf-8"), flags=re.MULTILINE):
        words = told.split()[1:]
        inner = next((whole.commands[word] for word in words if word in whole.commands), None)
        inner = next(
            (inner.commands[word] for word in words if word in getattr(inner, "commands", ())), inner
        )
        own = {flag for each in getattr(inner, "params", ()) for flag in (*each.opts, *each.secondary_opts)}
        flags = {word.split("=")[0].rstrip(",.") for word in words if re.match(r"--?[a-z]", word)}
        if (inner is None and words[0][0] != "-") or flags - own - everywhere - {"--help", "-h"}:
            wrong.append(told)

    assert wrong == []


def test_the_reference_of_commands_is_up_to_date():
    told = (DOCS / "cli.md").read_text(encoding="utf-8")

    assert told == reference(), "make it anew: python -m cli.reference > docs/cli.md, or make docs"


def test_every_command_has_its_place_in_the_reference():
    assert "Further commands" not in reference(), f"name the command in one of {', '.join(GROUPS)}"


@pytest.mark.parametrize(
    ("page", "definitions"),
    [
        ("forgetting", DEFINITIONS),
        ("refresh", COMPATIBILITY_DEFINITIONS),
        ("no-match", NO_MATCH_DEFINITIONS),
    ],
)
def test_a_concept_has_the_definitions_that_the_report_prints(page, definitions):
    text = " ".join((DOCS / "concepts" / f"{page}.md").read_text(encoding="utf-8").split())

    assert [name for name, sentence in definitions.items() if sentence not in text] == []


def test_the_example_of_forgetting_can_be_checked():
    text = (DOCS / "concepts" / "forgetting.md").read_text(encoding="utf-8")
    example, summary = (
        re.search(rf"<!-- {name}: begin -->\n(.*?)<!-- {name}: end -->", text, flags=re.DOTALL)[1]
        for name in ("example", "summary")
    )
    rows = [[float(value) for value in re.findall(r"\d\.\d+", line)] for line in example.splitlines()]
    matrix = RecallMatrix([row for row in rows if row])
    told = {line.split("|")[1].strip(): line.split("|")[3].strip() for line in summary.splitlines()[2:]}

    assert told == {
        "average": f"{matrix.average():.3f}",
        "forgetting": f"{matrix.forgetting():.3f}",
        "backward transfer": f"{matrix.backward_transfer():.3f}",
    }
