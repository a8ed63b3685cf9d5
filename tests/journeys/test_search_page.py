"""The search page in a real browser: with a mouse, with the keyboard alone, on a phone, in the dark."""

from __future__ import annotations

import base64
import os
import re
from pathlib import Path

import pytest

from cli.wiring import IngestRequest, open_workspace, run_ingest
from continual_dml.ports import SilentListener
from tests.browsers import browsing, needs_chromium, page_of, serious_findings
from tests.servers import serving

pytestmark = needs_chromium

HOSTILE = "<img src=x onerror=document.title='owned'>"
KEPT = os.environ.get("CDML_TEST_SCREENSHOTS")
"""Where pictures of the page are kept that the documentation shows; nowhere, unless somebody says so."""


@pytest.fixture(scope="module")
def browser():
    with browsing() as browser:
        yield browser


@pytest.fixture(scope="module")
def address(learned_site):
    with serving(learned_site.workspace) as client:
        yield str(client.base_url)


@pytest.fixture
def page(browser, address):
    with page_of(browser, address) as page:
        page.goto(address)
        yield page


@pytest.fixture
def photo(learned_site):
    return sorted(learned_site.greek.rglob("*.png"))[5]


def names_shown(page):
    page.wait_for_selector("#results .card")
    return page.locator("#results .card .name").all_inner_texts()


def send(page, photo):
    page.set_input_files("#file", photo)
    return names_shown(page)


def keep(page, name):
    if KEPT:
        page.wait_for_load_state("networkidle")
        page.screenshot(path=Path(KEPT) / f"{name}.png")


def files_as_data(photo):
    """Return a script's handle on a drop or a paste of an image."""
    content = base64.b64encode(photo.read_bytes()).decode()
    return {"content": content, "name": photo.name}


AS_TRANSFER = """({content, name}) => {
  const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, {type: "image/png"}));
  return transfer;
}"""


def test_an_image_is_searched_filtered_and_explained(page, photo):
    from playwright.sync_api import expect

    assert len(send(page, photo)) == 12
    expect(page.locator("#search-status")).to_contain_text("12 answers from generation 2")
    assert page.locator("#preview").get_attribute("alt") == f"The image that is searched with: {photo.name}"
    page.select_option("select[name=task]", "latin")
    expect(page.locator("#results .card .small", has_text="greek")).to_have_count(0)
    expect(page.locator("#results .card .small", has_text="latin")).to_have_count(12)
    page.fill("input[name=where]", "id < 5")
    page.click("#filters button")
    expect(page.locator("#results .card")).to_have_count(4)
    page.click("#results .card >> nth=0 >> text=Why")
    expect(page.locator("dialog canvas")).to_have_count(2)
    expect(page.locator("dialog")).to_contain_text(
        re.compile("the (top|middle|bottom) (left|centre|right) matters")
    )
    page.click("dialog >> text=Close")
    expect(page.locator("dialog")).to_be_hidden()


def test_what_cannot_be_searched_is_explained_and_the_next_search_goes_on(browser, address, photo, tmp_path):
    from playwright.sync_api import expect

    (tmp_path / "broken.png").write_bytes(b"no image")
    with page_of(browser, address, refused=(400, 422)) as page:
        page.goto(address)
        page.set_input_files("#file", tmp_path / "broken.png")
        expect(page.locator("#verdict .bad")).to_contain_text("the image that was sent: not a JPEG")
        send(page, photo)
        page.fill("input[name=where]", "colour = 'red'")
        page.keyboard.press("Enter")
        expect(page.locator("#verdict .bad")).to_contain_text("colour")
        expect(page.locator("#results .card")).to_have_count(0)
        page.fill("input[name=where]", "")
        page.keyboard.press("Enter")
        assert len(names_shown(page)) == 12


@pytest.mark.parametrize("how", ["drop", "paste"])
def test_an_image_may_be_dropped_or_pasted(page, photo, how):
    transfer = page.evaluate_handle(AS_TRANSFER, files_as_data(photo))
    name = "dataTransfer" if how == "drop" else "clipboardData"
    kind = "DragEvent" if how == "drop" else "ClipboardEvent"
    page.evaluate(
        "([transfer, how, kind, name]) => document.body.dispatchEvent("
        "new globalThis[kind](how, {[name]: transfer, bubbles: true, cancelable: true}))",
        [transfer, how, kind, name],
    )
    assert len(names_shown(page)) == 12


def test_an_item_leads_to_items_like_it_and_back_again(page):
    from playwright.sync_api import expect

    page.click("nav >> text=Browse")
    expect(page.locator("#browse h2").first).to_have_text("Tasks")
    page.click(".chips >> text=greek >> nth=0")
    expect(page.locator("#browse h2").nth(1)).to_have_text("Categories of greek")
    category = page.locator("#browse .card .name").first.inner_text()
    page.click(f".chips >> text={category}")
    expect(page.locator("#browse h2").nth(2)).to_have_text(category)
    page.click("#browse .card >> nth=0 >> button.look")
    expect(page.locator("dialog h2")).to_contain_text(f"{category}, item")
    page.click("dialog >> text=Find similar items")
    assert "#/similar/" in page.url
    assert names_shown(page)[0] == category
    page.go_back()
    expect(page.locator("#browse .card .name").first).to_have_text(category)


def test_the_keyboard_is_enough(page, photo):
    from playwright.sync_api import expect

    choosers = []

    def note(chooser):
        choosers.append(chooser)

    page.on("filechooser", note)  # long before one comes: the browser takes its time until it tells of any
    page.wait_for_selector("#starters .card")
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.id") == "file"
    outline = page.evaluate("() => getComputedStyle(document.getElementById('drop')).borderStyle")
    assert outline == "solid"
    page.keyboard.press("Space")
    for _ in range(100):
        if choosers:
            break
        page.wait_for_timeout(50)
    choosers[0].set_files(photo)
    names_shown(page)
    for _ in range(40):
        page.keyboard.press("Tab")
        if (page.evaluate("() => document.activeElement.getAttribute('aria-label')") or "").startswith(
            "Why item"
        ):
            break
    page.keyboard.press("Enter")
    expect(page.locator("dialog canvas")).to_have_count(2)
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_be_hidden()
    assert page.evaluate("() => document.activeElement.textContent") == "Why"


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (390, False), (390, True)])
def test_every_view_can_be_used_by_everybody(browser, address, photo, width, dark):
    from playwright.sync_api import expect

    name = f"{'phone' if width < 500 else 'page'}-{'dark' if dark else 'light'}"
    with page_of(browser, address, width=width, height=844 if width < 500 else 900, dark=dark) as page:
        page.goto(address)
        send(page, photo)
        keep(page, f"search-{name}")
        findings = serious_findings(page)
        page.click("#results .card >> nth=0 >> text=Why")
        expect(page.locator("dialog canvas")).to_have_count(2)
        keep(page, f"why-{name}")
        findings += serious_findings(page)
        page.click("dialog >> text=Close")
        for view, there in (("Browse", "#browse .card"), ("Generations", "#generations td")):
            page.click(f"nav >> text={view}")
            page.wait_for_selector(there)
            keep(page, f"{view.lower()}-{name}")
            findings += serious_findings(page)
            wider = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert page.evaluate(wider) <= 0
    assert findings == []


def test_a_session_survives_a_publication_and_opens_its_report(browser, site, arrows, photo):
    from playwright.sync_api import expect

    next(arrows.iterdir()).rename(arrows / HOSTILE)
    workspace = open_workspace(site.workspace)
    with serving(site.workspace) as client, page_of(browser, str(client.base_url)) as page:
        page.goto(str(client.base_url))
        before = send(page, photo)
        run_ingest(IngestRequest(arrows, None, workspace.settings, "auto"), workspace, SilentListener())
        expect(page.locator("#generation")).to_contain_text("generation 3", timeout=30_000)
        expect(page.locator(".news")).to_contain_text(
            "These results are of generation 2. Generation 3 answers now."
        )
        assert names_shown(page) == before
        page.click("text=Ask it")
        expect(page.locator("#search-status")).to_contain_text("from generation 3")
        expect(page.locator(".news")).to_have_count(0)
        page.select_option("select[name=task]", "arrows")
        page.fill("input[name=category]", HOSTILE)
        page.keyboard.press("Enter")
        expect(page.locator("#results .card .name").first).to_have_text(HOSTILE)
        assert page.title() == "cdml image search"
        page.click("nav >> text=Generations")
        page.click("#generations a >> nth=0")
        expect(page).to_have_url(re.compile("/reports/3$"))
        expect(page.locator("h1")).to_be_visible()


def test_a_browser_is_let_in_by_the_token(browser, learned_site):
    from playwright.sync_api import expect

    token = "a token of more than sixteen characters"
    with (
        serving(learned_site.workspace, token) as client,
        page_of(browser, str(client.base_url), refused=(401,)) as page,
    ):
        page.goto(str(client.base_url))
        expect(page.locator("#view-sign-in")).to_be_visible()
        page.fill("input[name=token]", "wrong")
        page.keyboard.press("Enter")
        expect(page.locator("#sign-in-status")).to_have_text("This is not the token.")
        page.fill("input[name=token]", token)
        page.keyboard.press("Enter")
        expect(page.locator("#view-search")).to_be_visible()
        expect(page.locator("#starters .card").first).to_be_visible()
