"""The page of a report: whole, self-contained, and harmless whatever names it shows."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.render.report_page.curves import LABEL_HEIGHT, Series, curves
from cli.render.report_page.embedding_map import HEIGHT, WIDTH, embedding_map
from cli.render.report_page.headline import headline, since_measured
from cli.render.report_page.painter import PagePainter
from cli.shell import printable
from continual_dml.records import QuarantinedFile
from continual_dml.report_pages import ReportContent
from continual_dml.settings import StreamSettings
from tests.cli.told_reports import told_content

SECTIONS = (
    "recall", "forgetting", "categories", "confused", "queries", "map", "refresh", "no-match", "time",
    "left-out", "definitions",
)  # fmt: skip
VOID = frozenset({"meta", "link", "img", "line", "path", "circle", "br"})
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</style><script>alert(1)</script>",
    "{{ 7 * 7 }}{% raw %}",
    "\u202eexe.gpj",
    "שלום עולם",
    "a" * 200,
    "half \ud800 a letter",
    "&amp;<!--",
]


class Page(HTMLParser):
    """A parsed page: raises where tags do not close as they were opened.

    ``elements``: tags with their attributes; ``text``: all that is shown.
    """

    def __init__(self, content: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(content.decode("utf-8"))
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs)
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self._open or self._open[-1] != "style":
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of all elements of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]

    def words(self) -> str:
        """Return the text, blanks and line ends as single blanks."""
        return " ".join(self.text.split())


def painted(content: ReportContent) -> Page:
    return Page(PagePainter(StreamSettings()).paint(content))


def assert_harmless(page: Page) -> None:
    """Nothing runs, nothing is loaded, and every element is one of the templates'."""
    assert {tag for tag, _ in page.elements}.isdisjoint(
        {"script", "iframe", "object", "form", "base", "foreignobject", "use", "image"}
    )
    for tag, attributes in page.elements:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name in ("src", "href"):
                assert re.match(r"data:image/jpeg;base64,|data:,$|#[a-z-]+$", value or ""), (tag, value)
            if name == "style":
                assert re.fullmatch(r"(width:[\d.]+%|--l:\d+)", value or "")


@pytest.mark.parametrize("tasks", [1, 2, 9, 50])
def test_a_page_has_every_section_however_many_tasks_there_are(tasks, tmp_path):
    page = painted(told_content([f"task-{number}" for number in range(1, tasks + 1)], pictures=tmp_path))

    assert {attributes.get("id") for _, attributes in page.elements} >= set(SECTIONS)
    targets = {(one["href"] or "")[1:] for one in page.all("a")}
    assert targets == {*SECTIONS, "main"}
    assert_harmless(page)
    assert len(page.all("img")) > 10
    assert all(one["alt"] for one in page.all("img"))
    assert f"Report of generation {tasks}" in page.words()


def test_a_page_says_what_it_is_and_asks_for_nothing(tmp_path):
    content = PagePainter(StreamSettings()).paint(told_content(["latin", "greek"], pictures=tmp_path))
    page = Page(content)
    assert content.startswith(b'<!doctype html>\n<html lang="en">')
    assert b"http" not in re.sub(rb"http-equiv", b"", content)
    assert b"@import" not in content
    assert b"url(" not in content
    (policy,) = [one["content"] for one in page.all("meta") if one.get("http-equiv")]
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")
    assert "script-src" not in policy, "no script: the default forbids all"
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all("meta")
    assert len(page.all("h1")) == 1
    assert all(one.get("scope") in ("col", "row") for one in page.all("th"))
    assert all(one.get("aria-label") for one in page.all("svg"))


THREE_TASKS = told_content(["a", "b", "c"], quarantined=[QuarantinedFile("/a/b.jpg", "empty file")])


def with_names(names: list[str]) -> ReportContent:
    """Return a report of three tasks with these names of tasks and categories, a file and a reason."""
    tasks = [{**task, "name": name} for task, name in zip(THREE_TASKS.report["tasks"], names, strict=False)]
    left_out = QuarantinedFile(f"/photos/{names[6].replace('/', '-')}", names[7])
    return replace(
        THREE_TASKS,
        report={**THREE_TASKS.report, "tasks": tasks},
        categories={**THREE_TASKS.categories, **dict(enumerate(names[3:6]))},
        quarantined=[(names[0], [left_out])],
    )


PLAIN_KINDS = {tag for tag, _ in painted(THREE_TASKS).elements}


@settings(deadline=None, max_examples=30)
@given(st.lists(st.sampled_from(HOSTILE) | st.text(min_size=1, max_size=30), min_size=8, max_size=8))
def test_names_are_shown_as_they_are_and_never_become_markup(names):
    page = painted(with_names(names))

    assert_harmless(page)
    kinds = {tag for tag, _ in page.elements}
    assert kinds == PLAIN_KINDS
    for name in (*names[:3], names[7]):
        assert printable(name) in page.text
    assert not re.search("[\u202a-\u202e\u2066\u2067\x00-\x08]", page.text), "nothing turns what follows"


def test_only_the_end_of_a_path_is_shown_since_pages_are_passed_on():
    page = painted(
        told_content(["a"], quarantined=[QuarantinedFile("/home/me/photos/owl/1.jpg", "empty file")])
    )
    assert "owl/1.jpgaempty file" in page.words()
    assert "/home" not in page.text


def test_a_report_without_details_says_that_they_are_missing():
    page = painted(told_content(["latin", "greek"], details=False))
    assert "published without the details" in page.words()
    assert page.all("img") == []
    targets = {(one["href"] or "")[1:] for one in page.all("a")}
    assert targets <= {attributes.get("id") for _, attributes in page.elements}


def test_a_picture_whose_file_is_gone_or_holds_something_else_is_left_blank(tmp_path):
    content = told_content(["latin"], pictures=tmp_path)
    whole = painted(content)
    first, second, *_ = sorted(tmp_path.iterdir())
    shown = {path: whole.text.count("file is gone") for path in (first, second)}
    assert set(shown.values()) == {0}

    first.unlink()
    second.write_bytes(b"another content")

    page = painted(content)
    gone = page.text.count("file is gone")
    assert gone >= 2
    assert len(page.all("img")) == len(whole.all("img")) - gone


def test_right_and_wrong_are_told_by_words_and_not_by_colour_alone(tmp_path):
    page = painted(told_content(["a", "b", "c"], pictures=tmp_path))
    tiles = [one["class"] for one in page.all("figure") if (one.get("class") or "").startswith("tile")]
    assert page.text.count("✓ right") == tiles.count("tile right") > 0
    assert page.text.count("✗ wrong") == tiles.count("tile wrong") > 0


def test_the_headline_is_a_sentence_each_about_what_was_added_gained_forgotten_and_allowed():
    report = dict(told_content(["latin", "greek"]).report)
    added, gained, forgotten, gate = headline(report)
    assert (added.name, added.figure) == ("greek", "18")
    assert added.text == (
        "brought 3 categories with 18 images to search; 2 tasks learned so far, and 36 images in the gallery."
    )
    newest = report["recall_at_k"]["1"][-1][-1]
    assert gained.figure == f"{100 * newest:.1f} %"
    assert f"(Recall@1 {newest:.3f}, gallery of all tasks)" in gained.text
    assert forgotten.about == "Forgotten"
    assert gate.text == "There was none when this generation was published."

    check = {"name": "forgetting", "value": 0.4, "limit": 0.25, "passed": False, "note": "try less"}
    report["gate"] = {"passed": False, "refusal": "forgetting is 0.400, at most 0.250", "checks": [check]}
    assert headline(report)[3].figure == "refused"
    assert "forgetting is 0.400, at most 0.250" in headline(report)[3].text


def test_what_changed_since_the_figures_were_measured_is_said():
    report = {"deleted_since": {"gallery": 1, "query": 0}, "added_since": {"gallery": 2, "new_categories": 1}}
    assert since_measured(report) == [
        "1 gallery image and 0 query images were deleted since this was measured.",
        "2 images were added since this was measured, with 1 category new among them.",
    ]
    assert since_measured({}) == []


@settings(deadline=None)
@given(st.lists(st.lists(st.none() | st.floats(0, 1), min_size=4, max_size=4), min_size=1, max_size=8))
def test_lines_stay_inside_their_chart_and_their_labels_apart(values):
    series = [Series(str(number), row, number) for number, row in enumerate(values)]
    chart = curves(series, list("1234"), "task")
    for line in chart.lines:
        for mark in line.marks:
            assert chart.left <= mark.x <= chart.right
            assert 0 <= mark.y <= chart.bottom + 0.1
    labels = sorted(line.label_y for line in chart.lines if line.label_y is not None)
    assert len(labels) == sum(any(value is not None for value in row) for row in values)
    assert all(second - first >= LABEL_HEIGHT - 0.2 for first, second in pairwise(labels))
    assert all(0 <= label <= chart.bottom + 0.1 for label in labels)
    heights = [height for height, _ in chart.y_ticks]
    assert heights == sorted(heights, reverse=True)
    assert chart.y_ticks[-1][1] == "1.0"


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5), st.integers(1, 12)), min_size=1, max_size=30))
def test_dots_stay_inside_the_map_and_each_is_drawn_once(dots):
    found = {
        "items": list(range(len(dots))),
        "x": [x for x, _, _ in dots],
        "y": [y for _, y, _ in dots],
        "tasks": [task for _, _, task in dots],
        "explained_variance": [0.5, 0.2],
    }
    tasks = [{"id": number, "name": f"task {number}"} for number in range(1, 11)]
    shown = embedding_map(found, tasks)
    assert shown is not None
    points = [point for cloud in shown.clouds for point in re.findall(r"M(\S+) (\S+?)h0", cloud.path)]
    assert len(points) == sum(cloud.items for cloud in shown.clouds) == len(dots)
    assert all(0 <= float(x) <= WIDTH and 0 <= float(y) <= HEIGHT for x, y in points)
    names = [cloud.name for cloud in shown.clouds]
    assert ("added without learning" in names) == any(task > 10 for _, _, task in dots)
    assert len(names) == len(set(names))
    assert embedding_map({"items": []}, tasks) is None


def test_a_first_task_had_nothing_to_forget():
    assert headline(told_content(["latin"]).report)[2].text == "Nothing yet: before this task there was none."


def test_a_workspace_that_does_not_measure_recall_at_1_has_a_page_without_it():
    report = dict(THREE_TASKS.report)
    scopes = {"within_task": dict(report["within_task"])}
    for scope in (report, scopes["within_task"]):
        for name in ("recall_at_k", "summary"):
            scope[name] = {k: values for k, values in scope[name].items() if k != "1"}
    page = painted(replace(THREE_TASKS, report={**report, **scopes}))
    assert "Recall@1 is not among what this workspace measures" in page.words()
    assert {attributes.get("id") for _, attributes in page.elements} >= set(SECTIONS)


def test_a_stream_without_held_out_images_has_a_page_that_says_so():
    report = dict(THREE_TASKS.report)
    blank = {k: [[None] * len(row) for row in rows] for k, rows in report["recall_at_k"].items()}
    none = {k: dict.fromkeys(values) for k, values in report["summary"].items()}
    unknown = {"recall_at_k": blank, "summary": none}
    within = {**report["within_task"], **unknown}
    details = {**(THREE_TASKS.details or {}), "categories": [], "confusions": [], "samples": [], "worst": []}
    page = painted(replace(THREE_TASKS, report={**report, **unknown, "within_task": within}, details=details))
    for said in (
        "Not known: the newest task has no held-out images.",
        "No category has held-out images with something to find.",
        "No held-out image is left to show.",
    ):
        assert said in page.words()
