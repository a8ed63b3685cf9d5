"""Pictures of the search page for the documentation: ``python -m tests.screenshots WORKSPACE IMAGE FOLDER``.

Look at them before they are committed.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

from tests.browsers import browsing, page_of
from tests.servers import serving

COLOURS = 256


def main(workspace: Path, image: Path, folder: Path) -> None:
    """Search with an image, ask why, look around, and keep what is seen."""
    with serving(workspace) as client, browsing() as browser:
        address = str(client.base_url)
        with page_of(browser, address, width=1180, height=860) as page:
            page.goto(address)
            page.set_input_files("#file", image)
            page.wait_for_selector("#results .card")
            keep(page, folder / "search.png")
            page.click("#results .card >> nth=1 >> text=Why")
            page.wait_for_selector("dialog canvas >> nth=1")
            keep(page, folder / "why.png")
            page.click("dialog >> text=Close")
            page.click("nav >> text=Browse")
            page.wait_for_selector("#browse .card")
            keep(page, folder / "browse.png")
        with page_of(browser, address, width=390, height=780, dark=True) as page:
            page.goto(address)
            page.set_input_files("#file", image)
            page.wait_for_selector("#results .card")
            keep(page, folder / "search-phone.png")


def keep(page, path: Path) -> None:
    """Keep what is seen, as a small file."""
    page.wait_for_load_state("networkidle")
    page.screenshot(path=path)
    with Image.open(path) as picture:
        seen = picture.convert("RGB")
    seen.quantize(palette=seen.quantize(COLOURS), dither=Image.Dither.FLOYDSTEINBERG).save(
        path, optimize=True
    )


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
