"""Where benchmarks keep what they measured: JSON lines, and tables between two markers of a document."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def replace_tables(document: Path, name: str, tables: str) -> None:
    """Put ``tables`` between a document's markers ``<!-- name: begin -->`` and ``<!-- name: end -->``."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, found_begin, rest = document.read_text().partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found_begin and found_end):
        sys.exit(
            f"{document} has no lines {begin} and {end} to put the tables between: add them where it fits"
        )
    document.write_text(f"{before}{begin}\n\n{tables}\n{end}{after}")


def add_recording(parser: argparse.ArgumentParser, results: Path, document: Path) -> None:
    """Add ``--record`` and ``--render``, by which results are kept and shown."""
    parser.add_argument("--record", action="store_true", help=f"add what is measured to {results}")
    parser.add_argument("--render", action="store_true", help=f"put the last results into {document}")


def append_result(path: Path, result: Mapping[str, object]) -> None:
    """Add one line to the file of results."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps(result) + "\n")


def read_results(path: Path) -> list[dict[str, Any]]:
    """Return the results that :func:`append_result` wrote, oldest first."""
    if not path.is_file():
        sys.exit(f"no results at {path}: run the benchmark first, or name its file with --results")
    return [json.loads(line) for line in path.read_text().splitlines()]
