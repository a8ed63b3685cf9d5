"""What an ingest did, or would do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.render.amounts import UNKNOWN, counted, seconds, share, size
from cli.render.documents import category_counts, dry_run_document, ingest_document, ingest_seconds
from cli.render.gates import refused_line
from cli.render.matrices import definitions, members_table, without_positive
from cli.render.plans import show_plan
from cli.render.tables import Table, rendered
from cli.shell import print_error_line

if TYPE_CHECKING:
    from cli.shell import Shell
    from cli.wiring import IngestOutcome
    from continual_dml.workflows.estimate_ingest import IngestEstimate
    from continual_dml.workflows.plan_task import TaskPlan

LEAST_SHOWN = 0.05  # seconds: what would be shown as none is left out


def show_ingest(shell: Shell, outcome: IngestOutcome) -> None:
    """Write the result of an ingest to stdout, and to stderr why the quality gate refused it."""
    if shell.as_json:
        shell.emit_json(ingest_document(outcome))
    else:
        _show_figures(shell, outcome)
    if not outcome.promoted:
        print_error_line(refused_line(outcome.result.generation, outcome.result.report["gate"]))


def _show_figures(shell: Shell, outcome: IngestOutcome) -> None:
    report, task = outcome.result.report, outcome.result.task
    total = seconds(ingest_seconds(outcome)["total"])
    state = "" if outcome.promoted else ", not live"
    shell.emit_line(
        f"generation {outcome.result.generation.generation_id}{state}: learned '{task.name}' in {total} "
        f"({counted(task.categories, 'category', 'categories')}, "
        f"{counted(task.train_images, 'image', 'images')} learned and searchable, "
        f"{task.query_images} held out to ask with)"
    )
    show_plan(shell, outcome.plan)
    names = [one["name"] for one in report["tasks"]]
    headings = [f"Recall@{k}" for k in report["recall_at_k"]]
    rows = [
        [name, *[share(matrix[-1][column]) for matrix in report["recall_at_k"].values()]]
        for column, name in enumerate(names)
    ]
    averages = [share(one["average"]) for one in report["summary"].values()]
    forgetting = [share(one["forgetting"]) for one in report["summary"].values()]
    rows += [["average", *averages], ["forgetting", *forgetting]]
    title = "Queries of each task, searched among all tasks' images"
    shell.emit("\n" + rendered(Table(title, ["task", *headings], rows, (len(names),))))
    missing = without_positive(report)
    if missing:
        shell.emit(missing)
    members = members_table(report)
    if members is not None:
        shell.emit("\n" + rendered(members))
    shown = ["recall_at_k", "merged", "average", "forgetting", *([] if members is None else ["members"])]
    shell.emit("\n" + definitions(report, shown))


def show_dry_run(shell: Shell, plan: TaskPlan, estimate: IngestEstimate) -> None:
    """Write what an ingest would do to stdout."""
    if shell.as_json:
        shell.emit_json(dry_run_document(plan, estimate))
        return
    rows = [[name, state, str(train), str(query)] for name, state, train, query in category_counts(plan)]
    total = ["total", "", str(len(plan.gallery_rows)), str(len(plan.query_rows))]
    title = f"'{plan.task.name}' would bring"
    headings = ["category", "", "to learn", "held out"]
    shell.emit(rendered(Table(title, headings, [*rows, total], (len(rows),))))
    show_plan(shell, plan)
    shell.emit("\n" + rendered(_expected(estimate)))
    shell.emit(
        f"\nabout {seconds(estimate.total_seconds)} ({estimate.steps} training steps), "
        f"{size(estimate.disk_bytes)} on disk; nothing was changed"
    )


def _expected(estimate: IngestEstimate) -> Table:
    """Return what an ingest would take, by part."""
    rows = [[name, seconds(value)] for name, value in estimate.stages.items() if value >= LEAST_SHOWN]
    rows += [
        ["all of it", seconds(estimate.total_seconds)],
        ["most memory", UNKNOWN if estimate.peak_memory_bytes is None else size(estimate.peak_memory_bytes)],
        ["disk, while it runs", size(estimate.disk_bytes)],
        ["disk, afterwards more", size(max(0, estimate.growth_bytes))],
    ]
    return Table("It would take about", ["", ""], rows, (len(rows) - 4,))
