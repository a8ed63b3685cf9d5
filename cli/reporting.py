"""Telling a report in one of several formats: what ``cdml report`` puts together."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.report_options import REPORT_FORMATS
from cli.report_pages import report_page
from continual_dml.errors import SettingsError, UnknownChoice

if TYPE_CHECKING:
    from cli.render.tables import Table
    from storage.workspace import Workspace

TABLE, JSON, CSV, MARKDOWN, HTML = REPORT_FORMATS
_OF_SUFFIX = {".html": HTML, ".htm": HTML, ".json": JSON, ".csv": CSV, ".md": MARKDOWN, ".markdown": MARKDOWN}


def chosen_format(wanted: str | None, output: Path | None, *, as_json: bool) -> str:
    """Return the format that a report is asked for in: by name, or by the end of the file's name.

    Raises:
        UnknownChoice: there is no such format.
        SettingsError: ``--json`` with another one, HTML for a terminal, or a file that cannot be written.
    """
    if wanted is not None and wanted not in REPORT_FORMATS:
        raise UnknownChoice("format", wanted, REPORT_FORMATS)
    if as_json and wanted not in (None, JSON):
        raise SettingsError(f"--json and --format {wanted} ask for two formats: give one of them")
    if output is not None:
        _check_output(output)
    by_name = _OF_SUFFIX.get(output.suffix.lower(), TABLE) if output is not None else TABLE
    found = JSON if as_json else wanted or by_name
    if found == HTML and output is None and sys.stdout.isatty():
        raise SettingsError("a page is nothing for a terminal: say where to write it, as in -o report.html")
    return found


def report_bytes(workspace: Workspace, generation: str | None, kind: str, k: int) -> bytes:
    """Return a report in a format, as the bytes of a file.

    Raises:
        CatalogError: nothing is ingested yet, or the generation's files are not kept any more.
        UnknownChoice: there is no such generation, or Recall@K was not measured at ``k``.
        CorruptIndex: a file of the generation is damaged.
    """
    if kind == HTML:
        return report_page(workspace, generation)
    report, live = read_with_state(workspace, generation)
    if kind == JSON:
        return (json.dumps({**report, "live": live, **_details(workspace, report)}, indent=2) + "\n").encode()
    from cli.render.report_texts import report_csv, report_markdown

    text = report_csv(report) if kind == CSV else report_markdown(report, k, live=live)
    return text.encode("utf-8", "backslashreplace")


def report_as_text(workspace: Workspace, generation: str | None, k: int, draw: Callable[[Table], str]) -> str:
    """Return a report for people to read, its tables as ``draw`` makes them; errors as above."""
    from cli.render.report_texts import report_text

    report, live = read_with_state(workspace, generation)
    return "\n\n".join(report_text(report, k, draw, live=live))


def read_with_state(workspace: Workspace, generation: str | None) -> tuple[dict[str, Any], bool]:
    """Return a report, and whether its generation is live; errors as of ``read_report``."""
    from storage.summary import live_generation, read_report

    found = read_report(workspace, generation)
    return found, generation is None or found["generation"] == live_generation(workspace)


def _details(workspace: Workspace, report: Mapping[str, Any]) -> dict[str, Any]:
    """Return the details with categories by name, without the map; nothing where there are none."""
    from storage.report_content import read_report_details

    found = read_report_details(workspace, str(report["generation"]))
    return {} if found is None else {"details": {name: one for name, one in found.items() if name != "map"}}


def _check_output(output: Path) -> None:
    """Find out before anything is read that the file cannot be written."""
    if output.is_dir():
        raise SettingsError(f"-o {output}: that is a folder; give the name of a file")
    if not output.absolute().parent.is_dir():
        raise SettingsError(f"-o {output}: there is no folder {output.parent}; make it first")
