"""Measure rows of the table against the peers, and put what was found into the documentation.

``python -m benchmarks.side_by_side`` measures all rows, on an otherwise idle machine, or those that are
named. A row's result replaces the one that was recorded for it; where a round takes many minutes, ``--more``
adds one to it instead. ``--render`` writes the table of all of them, and a few into the README.
"""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import benchmarks.rows
from benchmarks.documents import replace_tables
from benchmarks.side_by_side.preparing import Preparation
from benchmarks.side_by_side.rounds import measure
from benchmarks.side_by_side.rows import Row
from benchmarks.side_by_side.summary import summary
from benchmarks.side_by_side.tables import table
from benchmarks.side_by_side.verdicts import is_void, noise
from cli.machine import environment

RESULTS, PROFILES = Path("benchmarks/results/rows"), Path("benchmarks/results/profiles")
DOCUMENT, TABLES = Path("docs/benchmarks.md"), "side by side"
README, SHORT = Path("README.md"), "speed"
TRIES = 3
"""A void measurement is taken again."""


def all_rows() -> list[Row]:
    """Return the rows of all files in ``benchmarks/rows``, in the order of their files."""
    found = sorted(pkgutil.iter_modules(benchmarks.rows.__path__), key=lambda module: module.name)
    modules = [importlib.import_module(f"benchmarks.rows.{module.name}") for module in found]
    return [row for module in modules for row in getattr(module, "ROWS", ())]


def recorded(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the result of each row that has one."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


def main(arguments: Sequence[str]) -> None:
    """Measure, or render what was measured."""
    rows = {row.name: row for row in all_rows()}
    parser = argparse.ArgumentParser(prog="python -m benchmarks.side_by_side", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"any of {', '.join(rows)}; all without")
    parser.add_argument("--quick", action="store_true", help="smaller sizes, one round, nothing recorded")
    parser.add_argument("--more", action="store_true", help="add a round to what is recorded of long rows")
    parser.add_argument("--profile", action="store_true", help=f"write where our time goes into {PROFILES}")
    parser.add_argument(
        "--render", action="store_true", help=f"put what is recorded into {DOCUMENT} and {README}"
    )
    options = parser.parse_args(arguments)
    unknown = set(options.rows) - set(rows)
    if unknown:
        parser.error(f"no row {', '.join(sorted(unknown))}; there are {', '.join(rows)}")
    if options.render:
        measured = recorded(RESULTS)
        replace_tables(DOCUMENT, TABLES, table(list(rows.values()), measured))
        replace_tables(README, SHORT, summary(list(rows.values()), measured))
        return
    if options.more and (options.quick or not options.rows):
        parser.error("--more takes the names of rows, and not --quick")
    machine = environment()
    before = _to_go_on_with([rows[name] for name in options.rows], machine) if options.more else {}
    with tempfile.TemporaryDirectory(prefix="cdml-bench-") as scratch:
        preparation = Preparation(Path(scratch))
        for name in options.rows or rows:
            folder = preparation.folder(rows[name], quick=options.quick)
            result = {"environment": machine, **_quiet(rows[name], folder, options, before.get(name))}
            print(table([rows[name]], {name: result}), flush=True)
            if not options.quick:
                RESULTS.mkdir(parents=True, exist_ok=True)
                (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")


def _to_go_on_with(rows: Sequence[Row], machine: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what is recorded of rows, if another round can be added to it."""
    found = recorded(RESULTS)
    for row in rows:
        if not row.long or row.name not in found:
            why = "nothing is recorded yet" if row.long else "its rounds are short"
            sys.exit(f"{row.name}: {why}; measure it without --more")
        if (found[row.name]["sizes"], found[row.name]["environment"]) != (row.sized(quick=False), machine):
            sys.exit(
                f"{row.name}: its rounds were of other sizes or another machine; measure it without --more"
            )
    return {row.name: found[row.name] for row in rows}


def _quiet(
    row: Row, folder: Path, options: argparse.Namespace, before: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return a measurement that is not void, or the last one of three that were."""
    profile = PROFILES / f"{row.name}.txt" if options.profile else None
    result: dict[str, Any] = {}
    for _ in range(1 if options.quick or before else TRIES):
        result = measure(row, folder, quick=options.quick, profile_into=profile, before=before)
        if not is_void(row, result):
            break
        print(f"{row.name}: void, ours over ours is {noise(result)}", file=sys.stderr, flush=True)
    return result


if __name__ == "__main__":
    main(sys.argv[1:])
