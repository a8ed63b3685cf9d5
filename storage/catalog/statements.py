"""The reads that ``cdml status`` and ``cdml tasks`` need, in SQL that every supported database understands.

They take a function that runs one statement, so that the command line can use the standard library's SQLite
and everything else SQLAlchemy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from continual_dml.errors import UnknownChoice
from continual_dml.records import (
    ADDED,
    CatalogItem,
    Generation,
    PartCount,
    QuarantinedFile,
    Role,
    TaskSummary,
    VectorState,
)

RunStatement = Callable[[str, Mapping[str, int]], Sequence[Sequence[Any]]]

_HEAD = """
SELECT g.generation_id, g.parent_id, g.task_id, g.manifest_sha256, g.created_at
FROM head h JOIN generation g ON g.generation_id = h.generation_id
"""
_PUBLISHED = "SELECT generation_id, parent_id, task_id, manifest_sha256, created_at FROM generation"
_TAGS = "SELECT name, generation_id FROM tag ORDER BY name"
_REMOVED = """
SELECT r.item_id FROM removal r
JOIN ancestor d ON d.ancestor_id = r.generation_id AND d.generation_id = :generation
"""
_TASKS = f"""
SELECT t.task_id, t.name, t.source, t.method, t.generation_id,
       COUNT(DISTINCT i.category_id),
       COALESCE(SUM(CASE WHEN i.role = 'gallery' THEN 1 ELSE 0 END), 0),
       COALESCE(SUM(CASE WHEN i.role = 'query' THEN 1 ELSE 0 END), 0)
FROM task t
JOIN ancestor a ON a.ancestor_id = t.generation_id AND a.generation_id = :generation
LEFT JOIN item i ON i.task_id = t.task_id AND i.item_id NOT IN ({_REMOVED})
GROUP BY t.task_id, t.name, t.source, t.method, t.generation_id
ORDER BY t.task_id
"""  # noqa: S608 - the parts are our own
_QUARANTINE = """
SELECT q.task_id, q.path, q.reason
FROM quarantine q
JOIN task t ON t.task_id = q.task_id
JOIN ancestor a ON a.ancestor_id = t.generation_id AND a.generation_id = :generation
ORDER BY q.task_id, q.position
"""
_PARTS = """
SELECT birth_generation_id, state, items FROM gallery_part
WHERE generation_id = :generation ORDER BY birth_generation_id, state
"""
_CATEGORIES = """
SELECT c.category_id, c.name, c.generation_id FROM category c
JOIN ancestor a ON a.ancestor_id = c.generation_id AND a.generation_id = :generation
"""
_LAST_ADDED = f"""
SELECT i.category_id, MAX(i.generation_id) FROM item i
JOIN task t ON t.task_id = i.task_id AND t.method = '{ADDED}'
JOIN ancestor a ON a.ancestor_id = t.generation_id AND a.generation_id = :generation
GROUP BY i.category_id
"""  # noqa: S608 - the parts are our own
_CATEGORY_COUNT = """
SELECT COUNT(*) FROM category c
JOIN ancestor a ON a.ancestor_id = c.generation_id AND a.generation_id = :generation
"""
_FILES = f"""
SELECT i.role, i.path, i.content_hash FROM item i
JOIN ancestor a ON a.ancestor_id = i.generation_id AND a.generation_id = :generation
WHERE i.item_id NOT IN ({_REMOVED})
ORDER BY i.item_id
"""  # noqa: S608 - the parts are our own
_SOME_ITEMS = f"""
SELECT i.item_id, i.category_id, c.name, i.task_id, t.name, i.role, i.content_hash, i.path
FROM item i
JOIN ancestor a ON a.ancestor_id = i.generation_id AND a.generation_id = :generation
JOIN category c ON c.category_id = i.category_id
JOIN task t ON t.task_id = i.task_id
WHERE i.item_id IN ({{chosen}}) AND i.item_id NOT IN ({_REMOVED})
"""  # noqa: S608 - the parts are our own
_MOST_VALUES = 500
_DELETED = """
SELECT i.role, c.name, COUNT(*) FROM removal r
JOIN ancestor a ON a.ancestor_id = r.generation_id AND a.generation_id = :generation
JOIN item i ON i.item_id = r.item_id
JOIN category c ON c.category_id = i.category_id
GROUP BY i.role, c.name
ORDER BY c.name
"""


def read_head(run: RunStatement) -> Generation | None:
    """Return the live generation, or None before the first task."""
    rows = run(_HEAD, {})
    return Generation(*rows[0]) if rows else None


def read_generation(run: RunStatement, wanted: str) -> Generation:
    """Return the published generation that a number or a tag names.

    Raises:
        UnknownChoice: neither.
    """
    tags = read_tags(run)
    published = {str(row[0]): Generation(*row) for row in run(_PUBLISHED, {})}
    if wanted in tags:
        return published[str(tags[wanted])]
    if wanted not in published:
        raise UnknownChoice("generation or tag", wanted, [*published, *tags])
    return published[wanted]


def read_published(run: RunStatement) -> list[int]:
    """Return the numbers of all published generations, oldest first."""
    return sorted(int(row[0]) for row in run(_PUBLISHED, {}))


def read_tags(run: RunStatement) -> dict[str, int]:
    """Return all tags, name to generation."""
    return {str(name): int(number) for name, number in run(_TAGS, {})}


def read_tasks(run: RunStatement, generation_id: int) -> list[TaskSummary]:
    """Return the tasks that ``generation_id`` has learned, oldest first."""
    return read_tasks_and_additions(run, generation_id)[0]


def read_additions(run: RunStatement, generation_id: int) -> list[TaskSummary]:
    """Return what was added on the way to ``generation_id`` without learning, oldest first."""
    return read_tasks_and_additions(run, generation_id)[1]


def read_tasks_and_additions(
    run: RunStatement, generation_id: int
) -> tuple[list[TaskSummary], list[TaskSummary]]:
    """Return both, each oldest first."""
    quarantined: dict[int, list[QuarantinedFile]] = {}
    for task_id, path, reason in run(_QUARANTINE, {"generation": generation_id}):
        quarantined.setdefault(task_id, []).append(QuarantinedFile(path, reason))
    found = [
        TaskSummary(task_id, name, source, method, born, categories, int(train), int(query),
                    tuple(quarantined.get(task_id, ())))
        for task_id, name, source, method, born, categories, train, query
        in run(_TASKS, {"generation": generation_id})
    ]  # fmt: skip
    return [one for one in found if one.method != ADDED], [one for one in found if one.method == ADDED]


def read_parts(run: RunStatement, generation_id: int) -> list[PartCount]:
    """Return how many gallery vectors of which birth generation are in which state."""
    rows = run(_PARTS, {"generation": generation_id})
    return [PartCount(birth, VectorState(state), items) for birth, state, items in rows]


def read_categories(run: RunStatement, generation_id: int) -> dict[int, str]:
    """Return the names of the categories that ``generation_id`` sees, by id."""
    return {int(number): name for number, name, _ in run(_CATEGORIES, {"generation": generation_id})}


def read_category_births(run: RunStatement, generation_id: int) -> dict[int, int]:
    """Return the generation that each category came with, by its id."""
    return {int(number): int(born) for number, _, born in run(_CATEGORIES, {"generation": generation_id})}


def read_last_added(run: RunStatement, generation_id: int) -> dict[int, int]:
    """Return, for categories with images that were added without learning, the last generation of such."""
    rows = run(_LAST_ADDED, {"generation": generation_id})
    return {int(number): int(generation) for number, generation in rows}


def count_categories(run: RunStatement, generation_id: int) -> int:
    """Return how many categories ``generation_id`` sees."""
    return int(run(_CATEGORY_COUNT, {"generation": generation_id})[0][0])


def read_files(run: RunStatement, generation_id: int) -> Sequence[Sequence[str]]:
    """Return (role, path, content hash) of every image that ``generation_id`` sees."""
    return run(_FILES, {"generation": generation_id})


def read_items(run: RunStatement, generation_id: int, item_ids: Sequence[int]) -> dict[int, CatalogItem]:
    """Return those of ``item_ids`` that ``generation_id`` sees, by id."""
    found: dict[int, CatalogItem] = {}
    for start in range(0, len(item_ids), _MOST_VALUES):
        values = {f"item{place}": one for place, one in enumerate(item_ids[start : start + _MOST_VALUES])}
        statement = _SOME_ITEMS.format(chosen=", ".join(f":{name}" for name in values))
        rows = run(statement, {"generation": generation_id, **values})
        for number, category_id, category, task_id, task, role, content_hash, path in rows:
            found[number] = CatalogItem(
                number, category_id, category, task_id, task, Role(role), content_hash, path
            )
    return found


def read_deleted(run: RunStatement, generation_id: int) -> Sequence[tuple[str, str, int]]:
    """Return (role, category, images) of what was deleted on the way to ``generation_id``."""
    return [(role, name, int(images)) for role, name, images in run(_DELETED, {"generation": generation_id})]
