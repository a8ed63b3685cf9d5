"""What an addition did, or would do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cli.render.amounts import counted, seconds
from cli.render.documents import category_counts
from cli.render.plans import plan_document, show_plan
from cli.render.tables import Table, rendered
from cli.render.task_documents import describe_addition, quarantine_document
from continual_dml.reports import SCHEMA_VERSION

if TYPE_CHECKING:
    from cli.adding import AddOutcome
    from cli.shell import Shell
    from continual_dml.workflows.plan_task import TaskPlan


def show_addition(shell: Shell, outcome: AddOutcome) -> None:
    """Write the result of an addition to stdout."""
    if shell.as_json:
        shell.emit_json(addition_document(outcome))
        return
    added, generation = outcome.result.addition, outcome.result.generation.generation_id
    shell.emit_line(
        f"generation {generation}: added '{added.name}' in {seconds(outcome.seconds)} "
        f"({counted(added.train_images, 'image', 'images')} searchable, nothing learned, nothing measured)"
    )
    show_plan(shell, outcome.plan)


def show_planned_addition(shell: Shell, plan: TaskPlan) -> None:
    """Write what an addition would do to stdout."""
    if shell.as_json:
        shell.emit_json(planned_addition_document(plan))
        return
    rows = [[name, state, str(images)] for name, state, images, _ in category_counts(plan)]
    total = ["total", "", str(len(plan.gallery_rows))]
    title = f"'{plan.task.name}' would bring"
    shell.emit(rendered(Table(title, ["category", "", "images"], [*rows, total], (len(rows),))))
    show_plan(shell, plan)
    shell.emit("\nnothing was changed")


def addition_document(outcome: AddOutcome) -> dict[str, Any]:
    """Return what ``cdml add`` published."""
    return {
        "schema_version": SCHEMA_VERSION,
        "generation": outcome.result.generation.generation_id,
        "addition": describe_addition(outcome.result.addition),
        "plan": plan_document(outcome.plan),
        "seconds": {"read": round(outcome.read_seconds, 3), "total": round(outcome.seconds, 3)},
    }


def planned_addition_document(plan: TaskPlan) -> dict[str, Any]:
    """Return what an addition would do."""
    return {
        "schema_version": SCHEMA_VERSION,
        "dry_run": True,
        "addition": {
            "name": plan.task.name,
            "source": plan.task.source,
            "categories": [
                {"name": name, "state": state, "images": images}
                for name, state, images, _ in category_counts(plan)
            ],
            "images": len(plan.gallery_rows),
            "quarantined": quarantine_document(plan.quarantined),
        },
        "plan": plan_document(plan),
    }
