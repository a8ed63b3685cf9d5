"""``cdml query``: find the images most like the given ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli import options
from cli.shell import NO_MATCH, Shell, entered

Images = Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Images to ask with.")]


def query(
    context: typer.Context,
    images: Images,
    neighbours: options.Neighbours = 10,
    where: options.Where = None,
    sheet: options.Sheet = None,
    no_threshold: options.NoThreshold = False,
    cold: options.Cold = False,
    device: options.Device = None,
) -> None:
    """Find the images most like each IMAGE.

    Best first. Where even the nearest is below the threshold of its category there is no match, and if no
    IMAGE has one the exit code is 4. If one image cannot be read, nothing is searched. On the sheet a
    neighbour is framed green or red, right or wrong, where the query's folder has the name of a category that
    was found. A server of this workspace (`cdml serve`) is asked where one runs: that is much faster.
    """
    with entered(context) as shell:
        _query(shell, images, neighbours, where, sheet, device, judged=not no_threshold, cold=cold)


def _query(
    shell: Shell,
    images: list[Path],
    k: int,
    where: str | None,
    sheet: Path | None,
    device: str | None,
    *,
    judged: bool,
    cold: bool,
) -> None:
    from cli.render.answers import show_answer
    from cli.searching import run_search
    from cli.served import ask_server
    from cli.settings import compute_device, merged_options, settings_of
    from cli.wiring import open_workspace
    from storage.filters import parse_filter

    found = None if where is None else parse_filter(where)
    chosen = merged_options({"device": device})
    opened = open_workspace(shell.folder)
    where_to_compute = compute_device(chosen, settings_of(opened))
    if sheet is not None:
        from cli.render.contact_sheet import check_destination, folder_categories, write_contact_sheet

        check_destination(sheet)
    answer = None if cold or device is not None else ask_server(opened, images, k, where, judged=judged)
    if answer is None:
        answer = run_search(opened, images, k, where_to_compute, found, judged=judged)
    if sheet is not None:
        write_contact_sheet(sheet, answer, folder_categories(answer), opened.settings.streams)
        shell.note(f"contact sheet: {sheet}")
    if answer.no_threshold is not None:
        shell.note(f"every query is answered, there is no threshold: {answer.no_threshold}")
    show_answer(shell, answer)
    if answer.has_no_match:
        shell.exit_code = NO_MATCH
