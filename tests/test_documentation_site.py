"""The user guide: it builds without a warning, its links lead somewhere, and it asks nobody for anything."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import cli
from cli.reference import GROUPS, reference
from continual_dml.metrics.definitions import COMPATIBILITY_DEFINITIONS, NO_MATCH_DEFINITIONS
from continual_dml.metrics.forgetting import DEFINITIONS, RecallMatrix

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


def test_every_picture_is_described(pages):
    assert [image for parsed in pages.values() for image in parsed.images if not image.get("alt")] == []


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
