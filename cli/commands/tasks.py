"""``cdml tasks``: which tasks the live generation has learned."""

from __future__ import annotations

import typer

from cli.shell import entered


def tasks(
    context: typer.Context,
) -> None:
    """List the tasks learned so far, and what was added without learning."""
    with entered(context) as shell:
        from cli.render.tables import Table, rendered
        from cli.render.task_documents import tasks_document
        from cli.wiring import open_workspace
        from storage.summary import read_tasks_and_additions

        found, additions = read_tasks_and_additions(open_workspace(shell.folder))
        if shell.as_json:
            shell.emit_json(tasks_document(found, additions))
            return
        if not found:
            shell.emit("no task yet: run `cdml ingest-task FOLDER`")
            return
        headings = ["id", "name", "method", "categories", "learned", "held out", "left out", "source"]
        rows = [
            [
                str(task.task_id),
                task.name,
                task.method,
                str(task.categories),
                str(task.train_images),
                str(task.query_images),
                str(len(task.quarantined)),
                task.source,
            ]
            for task in found
        ]
        shell.emit(rendered(Table("", headings, rows)))
        if additions:
            headings = ["id", "name", "generation", "categories", "images", "left out", "source"]
            rows = [
                [
                    str(one.task_id),
                    one.name,
                    str(one.generation_id),
                    str(one.categories),
                    str(one.train_images),
                    str(len(one.quarantined)),
                    one.source,
                ]
                for one in additions
            ]
            shell.emit("\n" + rendered(Table("Added without learning", headings, rows)))
