"""What a folder holds: new and known, duplicates, near-duplicates, and what is left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cli.render.amounts import counted
from cli.render.matrices import left_out
from cli.render.tables import Table, rendered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cli.shell import Shell
    from continual_dml.workflows.near_copies import NearCopies, NearCopy
    from continual_dml.workflows.plan_task import TaskPlan

NEAR_SHOWN = 10


def plan_document(plan: TaskPlan) -> dict[str, Any]:
    """Return counts of what was found, and all near-duplicates; what is left out stands elsewhere in full."""
    new, known = _new_images(plan)
    near = plan.near_copies
    return {
        "new_images": {"in_new_categories": new, "in_known_categories": known},
        "duplicates": {"in_the_folder": plan.task.twins, "in_the_catalogue": plan.known},
        "left_out_otherwise": _otherwise(plan),
        "unused_test_images": plan.task.unused,
        "near_duplicates": [
            {
                "path": one.path,
                "near": one.other,
                "item_id": one.item_id,
                "bits_apart": one.bits_apart,
                "held_out_and_searched": one.across,
            }
            for one in near.found
        ],
        "not_compared": {"new": near.new_unknown, "earlier": near.earlier_unknown},
    }


def show_plan(shell: Shell, plan: TaskPlan) -> None:
    """Write what was found to stdout: counts in a few lines, then the first of each list."""
    new, known = _new_images(plan)
    found = (
        ("new, in new categories", new, counted(len(plan.new_categories), "category", "categories")),
        ("new, in known categories", known, counted(len(plan.extended_categories), "category", "categories")),
        ("duplicates in the folder", plan.task.twins, "left out"),
        ("duplicates of the catalogue", plan.known, "left out"),
        ("left out for other reasons", _otherwise(plan), ""),
        ("near-duplicates", len(plan.near_copies.found), "listed, nothing is left out for it"),
    )
    rows = [[what, str(count), note if count else ""] for what, count, note in found]
    if plan.task.unused:
        rows.append(["test images not used", str(plan.task.unused), "beyond the most of a category"])
    shell.emit("\n" + rendered(Table("Images", ["", "count", ""], rows, (2, 5))))
    if plan.quarantined:
        shell.emit("\n" + rendered(left_out([(file.path, file.reason) for file in plan.quarantined])))
    if plan.near_copies.found:
        shell.emit("\n" + rendered(near_table(plan.near_copies.found)))
    for line in _notes(plan.near_copies, opened=plan.task.fingerprints is not None):
        shell.emit(line)


def near_table(found: Sequence[NearCopy]) -> Table:
    """Return near-duplicates, the first ones only: those that blur recall, then the nearest."""
    ordered = sorted(found, key=lambda one: (not one.across, one.bits_apart))
    rows = [
        [
            one.path,
            one.other if one.item_id is None else f"item {one.item_id}: {one.other}",
            str(one.bits_apart),
            "held out and searched" if one.across else "",
        ]
        for one in ordered[:NEAR_SHOWN]
    ]
    if len(found) > NEAR_SHOWN:
        rows.append([f"... and {len(found) - NEAR_SHOWN} more (--json lists all)", "", "", ""])
    return Table("Near-duplicates", ["file", "is nearly", "bits of 256 apart", ""], rows)


def _notes(near: NearCopies, *, opened: bool) -> list[str]:
    notes = []
    across = sum(one.across for one in near.found)
    if across:
        notes.append(
            f"{counted(across, 'near-duplicate is', 'near-duplicates are')} held out on the one side and "
            "searched on the other: an image that finds its own copy says nothing of the model."
        )
    if near.new_unknown:
        images = counted(near.new_unknown, "new image", "new images")
        what = (
            "too plain to be compared" if opened else "not looked at, and so not searched for near-duplicates"
        )
        notes.append(f"{images} {'is' if near.new_unknown == 1 else 'are'} {what}.")
    if near.earlier_unknown:
        notes.append(
            f"{counted(near.earlier_unknown, 'earlier image', 'earlier images')} could not be compared with: "
            "too plain, or from before cdml kept fingerprints."
        )
    return notes


def _new_images(plan: TaskPlan) -> tuple[int, int]:
    """Return how many new images are of new and of known categories, held out or not."""
    new = set(plan.new_categories)
    records = [*plan.records(plan.gallery_rows), *plan.records(plan.query_rows)]
    in_new = sum(record.category in new for record in records)
    return in_new, len(records) - in_new


def _otherwise(plan: TaskPlan) -> int:
    return len(plan.quarantined) - plan.task.twins - plan.known
