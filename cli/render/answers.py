"""Neighbours of query images, for people and programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cli.render.amounts import share
from cli.render.documents import query_document
from cli.render.tables import Table, rendered
from cli.shell import printable

if TYPE_CHECKING:
    from cli.searching import Answer, Hit
    from cli.shell import Shell
    from continual_dml.verdicts import Verdict


def show_answer(shell: Shell, answer: Answer) -> None:
    """Write an answer to stdout."""
    if shell.as_json:
        shell.emit_json(query_document(answer))
        return
    verdicts = answer.verdicts or (None,) * len(answer.queries)
    for position, ((path, hits), verdict) in enumerate(zip(answer.queries, verdicts, strict=True)):
        if verdict is not None and verdict.match is False:
            text = f"{printable(path)}\n{printable(no_match_line(hits, verdict))}"
        else:
            text = rendered(_table(path, hits, verdict))
        shell.emit(("\n" if position else "") + text)


def no_match_line(hits: Sequence[Hit], verdict: Verdict) -> str:
    """Return why there is no match."""
    if not hits:
        return "no match: there is nothing to compare with"
    nearest, threshold = hits[0], share(verdict.threshold)
    return (
        f"no match: the nearest is {nearest.item.category} at {share(nearest.similarity)}, "
        f"below the threshold {threshold}; --no-threshold shows what is near"
    )


def _table(path: str, hits: Sequence[Hit], verdict: Verdict | None) -> Table:
    rows = [
        [str(rank), share(hit.similarity), hit.item.category, hit.item.task, hit.item.path]
        for rank, hit in enumerate(hits, 1)
    ]
    title = path
    if verdict is not None and verdict.confidence is not None and hits:
        title = f"{path}: {hits[0].item.category}, confidence {verdict.confidence:.2f}"
    return Table(title, ["rank", "similarity", "category", "task", "image"], rows)
