"""Puts the last figures of ``catalog_insert``, ``open_index`` and ``durability_cost`` into the documentation.

Run ``python -m benchmarks.store_tables`` after these three with ``--record``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import catalog_insert, durability_cost, open_index
from benchmarks.documents import read_results, replace_tables

DOCUMENT, TABLES = Path("docs/benchmarks.md"), "store"


def rendered(inserts: list[dict[str, Any]], opening: Mapping[str, Any], durability: Mapping[str, Any]) -> str:
    """Return the table of the last result of each, of the insert one for each kind of database."""
    versions = ", ".join(f"{name} {value}" for name, value in opening["environment"].items())
    last = {result["database"]: result for result in inserts}
    rows = [*(_insert_row(result) for result in last.values()), *_opening_rows(opening)]
    rows += [_durability_row(number, task, durability) for number, task in enumerate(durability["tasks"], 1)]
    return "\n".join([f"Machine and versions: {versions}.", "", "| what | figure |", "|---|---|", *rows])


def _insert_row(result: Mapping[str, Any]) -> str:
    seconds, ratios = result["seconds"], result["add_all / ours"]
    return (
        f"| insert {result['items']:,} items, {result['database']} | {seconds['ours']:.2f} s; SQLAlchemy's "
        f"`add_all` {seconds['add_all']:.2f} s; {_middle(ratios)} times |"
    )


def _opening_rows(result: Mapping[str, Any]) -> list[str]:
    shape = f"{result['items']:,} x {result['dimension']}"
    rows = []
    for state, name in (("warm", "cached"), ("cold", "not cached")):
        ours, theirs = (result[state][whose] for whose in ("ours", "faiss"))
        searches = "; ".join(f"{one['first search, ms']:g} ms" for one in (ours, theirs))
        rows += [
            f"| open an index of {shape}, file {name} | {ours['open, ms']:g} ms; `faiss.read_index` "
            f"{theirs['open, ms']:g} ms; {_middle(result[state]['faiss / ours'])} times |",
            f"| the first search after that | {searches} |",
        ]
    return [*rows, f"| open it for the first time, which hashes it | {result['first open, ms']:g} ms |"]


def _durability_row(number: int, task: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    return (
        f"| surviving a crash, grocery task {number}, {result['steps']} steps | {task['share']:.2%} of "
        f"{task['seconds']:.0f} s |"
    )


def _middle(ratios: list[float]) -> str:
    ordered = sorted(ratios)
    return f"{ordered[len(ordered) // 2]:g} ({ordered[0]:g} to {ordered[-1]:g})"


def main() -> None:
    """Read the results and write the table."""
    tables = rendered(
        read_results(catalog_insert.RESULTS),
        read_results(open_index.RESULTS)[-1],
        read_results(durability_cost.RESULTS)[-1],
    )
    replace_tables(DOCUMENT, TABLES, tables)


if __name__ == "__main__":
    main()
