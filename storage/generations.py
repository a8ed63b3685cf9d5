"""The log of generations: what was published, from what, how well it retrieves, and what is still on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from continual_dml.records import ADDED
from storage import leases
from storage.catalog import statements
from storage.statements import open_statements
from storage.summary import bytes_below
from storage.workspace import Workspace

_GENERATIONS = f"""
SELECT g.generation_id, g.parent_id, t.name, g.created_at,
       (SELECT SUM(p.items) FROM gallery_part p WHERE p.generation_id = g.generation_id),
       (SELECT AVG(m.value) FROM measurement m WHERE m.generation_id = g.generation_id
        AND m.metric = 'recall' AND m.k = 1 AND m.scope = 'merged'),
       (SELECT COUNT(*) FROM removal r WHERE r.generation_id = g.generation_id),
       (SELECT f.reason FROM refusal f WHERE f.generation_id = g.generation_id),
       (SELECT COUNT(*) FROM item i WHERE i.task_id IN
        (SELECT b.task_id FROM task b WHERE b.generation_id = g.generation_id AND b.method = '{ADDED}'))
FROM generation g JOIN task t ON t.task_id = g.task_id
ORDER BY g.generation_id
"""  # noqa: S608 - the parts are our own
_LINEAGE = """
SELECT h.generation_id, a.ancestor_id FROM head h JOIN ancestor a ON a.generation_id = h.generation_id
"""


@dataclass(frozen=True, slots=True)
class GenerationEntry:
    """One published generation.

    ``task``: the last one that it learned; ``deleted``, ``added``: images that it took away, or brought
    without learning, 0 for one that learned a task; ``images``: in its gallery; ``recall_at_1``: average over
    its tasks, merged gallery, None where nothing could be asked; ``in_lineage``: whether the live generation
    is this one or descends from it; ``bytes_on_disk``: of its files, 0 where they are not kept any more;
    ``readers``: the processes that look at it, where the system tells; ``refused``: why its quality gate kept
    it back, None where it did not (one that is in the lineage all the same was promoted by hand).
    """

    generation_id: int
    parent_id: int | None
    task: str
    created_at: str
    images: int
    recall_at_1: float | None
    tags: tuple[str, ...]
    live: bool
    in_lineage: bool
    kept: bool
    bytes_on_disk: int
    readers: tuple[int, ...] = ()
    deleted: int = 0
    refused: str | None = None
    added: int = 0


def read_generations(workspace: Workspace) -> list[GenerationEntry]:
    """Return all generations that the catalogue knows, oldest first.

    Raises:
        CatalogError: the catalogue cannot answer.
    """
    with open_statements(workspace) as run:
        lineage = run(_LINEAGE, {})
        tags = statements.read_tags(run)
        rows = run(_GENERATIONS, {})
    live = lineage[0][0] if lineage else None
    ancestors = {ancestor for _, ancestor in lineage}
    return [_entry(workspace, row, tags, live, ancestors) for row in rows]


def _entry(
    workspace: Workspace,
    row: Sequence[Any],
    tags: Mapping[str, int],
    live: int | None,
    ancestors: set[int],
) -> GenerationEntry:
    number, parent, task, created_at, images, recall, deleted, refused, added = row
    directory = workspace.generation_dir(number)
    return GenerationEntry(
        generation_id=number,
        parent_id=parent,
        task=task,
        created_at=created_at,
        images=int(images or 0),
        recall_at_1=recall,
        tags=tuple(name for name, tagged in tags.items() if tagged == number),
        live=number == live,
        in_lineage=number in ancestors,
        kept=directory.is_dir(),
        bytes_on_disk=bytes_below(directory),
        readers=tuple(leases.holders(workspace.lease(number))),
        deleted=int(deleted),
        refused=refused,
        added=int(added),
    )
