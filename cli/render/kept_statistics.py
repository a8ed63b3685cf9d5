"""What is kept of each category, for people: by age, by category, and in all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cli.render.amounts import counted, size
from cli.render.documents import statistics_totals
from cli.render.tables import Table, rendered

if TYPE_CHECKING:
    from cli.shell import Shell
    from storage.kept_statistics import CategoryStatistics, KeptStatistics


def show_statistics(shell: Shell, found: KeptStatistics, generation: int, most: int | None) -> None:
    """Write ages, the first ``most`` categories (None: all of them) and sizes to stdout."""
    totals = statistics_totals(found)
    shell.emit(
        f"generation {generation}: {counted(totals['categories'], 'category', 'categories')}, "
        f"{counted(totals['images'], 'image', 'images')}, {size(totals['bytes'])}\n"
    )
    shell.emit(rendered(_ages(found.categories)) + "\n")
    shell.emit(rendered(listed_table(found.categories[:most])))
    hidden = len(found.categories[most:]) if most is not None else 0
    if hidden:
        shell.emit(f"and {hidden:,} more: `--all` lists them, `--category NAME` one")
    shell.emit("\n" + rendered(_sizes(found)))


def _ages(categories: Sequence[CategoryStatistics]) -> Table:
    alike: dict[int, list[CategoryStatistics]] = defaultdict(list)
    for one in categories:
        alike[one.drift_maps_since].append(one)
    rows = [
        [str(moves), f"{len(some):,}", f"{sum(one.images for one in some):,}"]
        for moves, some in sorted(alike.items(), reverse=True)
    ]
    return Table("", ["drift maps since the last images", "categories", "images"], rows)


def listed_table(categories: Sequence[CategoryStatistics]) -> Table:
    """Return one row for each of the categories."""
    with_deleted = any(one.deleted_images for one in categories)
    headings = ["category", "images", *(["of these deleted"] if with_deleted else [])]
    headings += ["came with", "last images with", "generation", "drift maps since", "directions", "size"]
    rows = [
        [
            one.name,
            str(one.images),
            *([str(one.deleted_images)] if with_deleted else []),
            one.task,
            one.measured_task,
            str(one.measured_generation),
            str(one.drift_maps_since),
            str(one.rank),
            size(one.size_bytes),
        ]
        for one in categories
    ]
    return Table("", headings, rows)


def _sizes(found: KeptStatistics) -> Table:
    totals = statistics_totals(found)
    rows = [
        ["a category, median", size(totals["category_bytes"]["median"])],
        ["a category, most", size(totals["category_bytes"]["most"])],
        ["all categories", size(totals["bytes"] - totals["shared_bytes"])],
        ["shared by all", size(totals["shared_bytes"])],
        *([one.name, size(one.size_bytes)] for one in found.files),
    ]
    return Table("", ["", "size"], rows, (4,))
