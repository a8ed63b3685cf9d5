"""A real browser without a window, that goes nowhere but to one address and says what went wrong in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium: `apt install chromium`")
_QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
)
NOT_SERIOUS = {"minor", "moderate"}


@contextmanager
def browsing() -> Iterator[Browser]:
    """Yield a running browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_QUIET)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def page_of(
    browser: Browser,
    address: str,
    *,
    width: int = 1280,
    height: int = 900,
    dark: bool = False,
    refused: tuple[int, ...] = (),
) -> Iterator[Page]:
    """Yield a page that can reach ``address`` alone; fails where it tried another one, or logged an error.

    ``refused``: statuses of requests that the test makes fail on purpose, which a browser logs as errors.
    """
    wrong: list[str] = []
    expected = tuple(
        f"Failed to load resource: the server responded with a status of {one} " for one in refused
    )

    def log(message) -> None:
        if message.type == "error" and not message.text.startswith(expected or ("\0",)):
            wrong.append(message.text)

    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
    )

    def pass_or_block(route) -> None:
        if route.request.url.startswith((address, "data:", "blob:")):
            route.continue_()
        else:
            wrong.append(f"asked for {route.request.url}")
            route.abort()

    context.route("**/*", pass_or_block)
    page = context.new_page()
    page.on("console", log)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    try:
        yield page
    finally:
        context.close()
    assert wrong == []


def serious_findings(page: Page) -> list[str]:
    """Return what axe-core finds on the page as it is, but for what is minor or moderate."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {node['html']}"
        for one in found
        if one["impact"] not in NOT_SERIOUS
        for node in one["nodes"]
    ]
