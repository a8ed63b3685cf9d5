"""Recall matrices, their summaries and their definitions, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cli.render.amounts import share
from cli.render.tables import Table, paragraph
from cli.shell import printable

Rows = Sequence[Sequence[float | None]]
LEFT_OUT_SHOWN = 10
GALLERIES = ("stale", "projected", "reembedded")


def matrix_table(title: str, rows: Rows, tasks: Sequence[str]) -> Table:
    """Return one row per task learned and one column per task asked about."""
    cells = [
        [f"after {name}", *[share(value) for value in row]] for name, row in zip(tasks, rows, strict=True)
    ]
    width = len(tasks) + 1
    return Table(title, ["", *tasks], [[*row, *[""] * (width - len(row))] for row in cells])


def summary_table(report: Mapping[str, Any]) -> Table:
    """Return average, forgetting and backward transfer for every K, merged and within the task."""
    scopes = (("merged", report["summary"]), ("within task", report["within_task"]["summary"]))
    rows = [
        [
            f"Recall@{k}, {scope}",
            share(values["average"]),
            share(values["forgetting"]),
            share(values["backward_transfer"]),
        ]
        for scope, summary in scopes
        for k, values in summary.items()
    ]
    return Table(
        "Over all tasks",
        ["", "average", "forgetting", "backward transfer"],
        rows,
        (0, len(report["summary"])),
    )


def compatibility_table(report: Mapping[str, Any]) -> Table | None:
    """Return what the last refresh was worth on the kept images, task by task, or None where not known."""
    found = report.get("compatibility")
    if found is None:
        return None
    names = {task["id"]: task["name"] for task in report["tasks"]}
    rows = [
        [names[task], *[share(found[gallery][column]) for gallery in GALLERIES]]
        for column, task in enumerate(found["tasks"])
    ]
    overlap = found["overlap_at_10"]
    rows += [
        ["overlap@10", share(overlap["stale"]), share(overlap["projected"]), ""],
        ["refresh efficiency", "", share(found["refresh_efficiency"]), ""],
    ]
    title = f"Recall@1 of {found['kept_images']} kept images of earlier tasks, by what the refresh does"
    return Table(title, ["", "stale", "projected", "re-embedded"], rows, (len(found["tasks"]),))


def parts_table(report: Mapping[str, Any]) -> Table:
    """Return how many items of each birth generation are in which state, and how far off they may be."""
    rows = []
    for part in report["parts"]:
        error = part.get("estimated_error", {})
        cells = [str(part["birth_generation"]), part["state"], str(part["items"])]
        rows.append([*cells, share(error.get("mean")), share(error.get("p90"))])
    return Table("Gallery", ["embedded in generation", "state", "items", "estimated error", "p90"], rows)


def members_table(report: Mapping[str, Any]) -> Table | None:
    """Return the average Recall@1 of each network of a cohort alone, or None where it is not known."""
    if "members" not in report:
        return None
    rows = [
        [f"member {one['member']} alone", one["backbone"], share(one["average_recall_at_1"])]
        for one in report["members"]
    ]
    together = report["summary"].get("1", {}).get("average")
    title = "Each network of the cohort alone, gallery of all tasks"
    return Table(
        title, ["", "backbone", "average Recall@1"], [*rows, ["ensemble", "", share(together)]], (len(rows),)
    )


def definitions(report: Mapping[str, Any], names: Sequence[str]) -> str:
    """Return the exact meaning of the numbers shown, one paragraph each."""
    return "\n".join(paragraph(report["definitions"][name]) for name in names)


def without_positive(report: Mapping[str, Any]) -> str | None:
    """Return a line about queries that had nothing to find, or None where there are none."""
    names = {str(task["id"]): task["name"] for task in report["tasks"]}
    counts = {names[task]: one["without_positive"] for task, one in report["queries"].items()}
    shown = [f"{name} {count}" for name, count in counts.items() if count]
    return printable(f"Queries without a positive: {', '.join(shown)}.") if shown else None


def left_out(files: Sequence[tuple[str, str]]) -> Table:
    """Return the quarantined files (path, reason), the first ones only."""
    rows = [[path, reason] for path, reason in files[:LEFT_OUT_SHOWN]]
    if len(files) > LEFT_OUT_SHOWN:
        rows.append([f"... and {len(files) - LEFT_OUT_SHOWN} more (--json lists all)", ""])
    return Table("Left out", ["file", "reason"], rows)
