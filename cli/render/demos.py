"""What the demo found, where it put things, and what to try next."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from cli.render.amounts import seconds, share
from cli.render.documents import query_document
from cli.render.matrices import definitions, matrix_table
from cli.render.tables import Table, rendered

if TYPE_CHECKING:
    from pathlib import Path

    from cli.demonstration import DemoResult
    from cli.shell import Shell


def show_demo(shell: Shell, demo: DemoResult) -> None:
    """Write the demo's result to stdout."""
    if shell.as_json:
        shell.emit_json(_document(demo))
        return
    report = demo.last.result.report
    names = [task["name"] for task in report["tasks"]]
    title = "Recall@1: each task's held-out images, searched among the images of all tasks learned so far"
    shell.emit(rendered(matrix_table(title, report["recall_at_k"]["1"], names)))
    rows = [
        [f"Recall@{k}", share(one["average"]), share(one["forgetting"])]
        for k, one in report["summary"].items()
    ]
    shell.emit("\n" + rendered(Table("After the last task", ["", "average", "forgetting"], rows)))
    shell.emit("\n" + definitions(report, ("recall_at_k", "average", "forgetting")))
    shell.emit("\n" + rendered(_examples(demo)))
    shell.emit(_where(demo))


def show_folders(shell: Shell, folders: list[Path]) -> None:
    """Write the folders that were drawn to stdout, one a line."""
    if shell.as_json:
        shell.emit_json({"schema_version": 1, "tasks": [str(folder) for folder in folders]})
        return
    for folder in folders:
        shell.emit_line(str(folder))


def _examples(demo: DemoResult) -> Table:
    rows = []
    for (_, hits), category in zip(demo.answer.queries, demo.categories, strict=True):
        found = Counter(hit.item.category for hit in hits)
        text = ", ".join(f"{count} x {name}" for name, count in found.most_common(3))
        rows.append([category, text])
    return Table("Example searches", ["asked with a", "found"], rows)


def _where(demo: DemoResult) -> str:
    query_path = demo.answer.queries[0][0]
    return f"""
Done in {seconds(demo.seconds)}. In {demo.directory}:
  {demo.sheet.name:<20} a picture of these searches
  tasks/               the rendered images, one folder per task
  workspace/           models, index and catalogue

Try next:
  cdml report -w {demo.directory / "workspace"}
  cdml status -w {demo.directory / "workspace"}
  cdml query -w {demo.directory / "workspace"} {query_path} --sheet found.png
  cdml init --weights imagenet && cdml ingest-task YOUR-FOLDER"""


def _document(demo: DemoResult) -> dict[str, Any]:
    report = demo.last.result.report
    return {
        "schema_version": report["schema_version"],
        "directory": str(demo.directory),
        "workspace": str(demo.workspace.root),
        "sheet": str(demo.sheet),
        "generation": report["generation"],
        "tasks": report["tasks"],
        "recall_at_k": report["recall_at_k"],
        "summary": report["summary"],
        "queries": query_document(demo.answer)["queries"],
        "seconds": {"total": round(demo.seconds, 3)},
    }
