"""Neighbours of query images, for people and programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.render.amounts import share
from cli.render.documents import query_document
from cli.render.tables import Table, rendered

if TYPE_CHECKING:
    from cli.shell import Shell
    from cli.wiring import Answer


def show_answer(shell: Shell, answer: Answer) -> None:
    """Write an answer to stdout."""
    if shell.as_json:
        shell.emit_json(query_document(answer))
        return
    for position, (path, hits) in enumerate(answer.queries):
        rows = [
            [str(rank), share(hit.similarity), hit.item.category, hit.item.task, hit.item.path]
            for rank, hit in enumerate(hits, 1)
        ]
        table = Table(path, ["rank", "similarity", "category", "task", "image"], rows)
        shell.emit(("\n" if position else "") + rendered(table))
