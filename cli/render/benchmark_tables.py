"""The benchmark as Markdown: who retrieves how well, what it forgets, what it costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from cli.render.amounts import UNKNOWN, counted, share, size
from cli.render.benchmark_cells import interval_cell, name_of, size_cell, spread_cell
from cli.shell import printable
from continual_dml.comparisons.definitions import COMPARISON_DEFINITIONS

if TYPE_CHECKING:
    from continual_dml.comparisons.rows import Comparison, MethodRow


class Column(NamedTuple):
    """A heading and how a row's cell is written."""

    heading: str
    cell: Callable[[MethodRow], str]


def markdown_table(runs: Sequence[Mapping[str, Any]], baseline: str | None = None) -> str:
    """Return the tables and their legend as Markdown.

    Args:
        runs: run documents of one stream.
        baseline: label to take differences to; by default the frozen network, where it was run.

    Raises:
        CdmlError: runs that cannot be compared.
        UnknownChoice: a baseline without a run.
    """
    from continual_dml.comparisons.summary import compare

    return comparison_markdown(compare(runs, baseline), runs)


def comparison_markdown(comparison: Comparison, runs: Sequence[Mapping[str, Any]]) -> str:
    """Return a comparison as Markdown; see :func:`markdown_table`."""
    rows = comparison.rows
    current = [row for row in rows if row.gallery == "reembedded"]
    carried = [row for row in rows if row.gallery != "reembedded"]
    cohorts = [row for row in comparison.headlines() if row.measures.get("members_mean")]
    parts = [
        _conditions(comparison, runs),
        _table("Retrieval, gallery re-embedded", current, _retrieval(comparison)),
        _table("Retrieval, no old image opened", carried, _carried(comparison)),
        _table("Recall@K, gallery re-embedded, means over seeds", current, _recall_at_every_k(comparison)),
        _table("Cost", comparison.headlines(), _cost(comparison)),
        _table("Cohorts", cohorts, _COHORT),
        *[f"Note: {printable(note)}" for note in comparison.notes],
        _definitions(comparison),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _conditions(comparison: Comparison, runs: Sequence[Mapping[str, Any]]) -> str:
    stream, tasks = runs[0]["stream"], runs[0]["stream"]["tasks"]
    environment = ", ".join(f"{name} {value}" for name, value in (runs[0].get("environment") or {}).items())
    totals = {key: sum(task[key] for task in tasks) for key in ("categories", "train_images", "query_images")}
    seeds = sorted({run["seed"] for run in runs})
    lines = [
        f"Stream **{_escaped(stream['name'])}**: {counted(len(tasks), 'task', 'tasks')}, "
        f"{counted(totals['categories'], 'category', 'categories')}, "
        f"{totals['train_images']:,} images to learn, "
        f"{totals['query_images']:,} to ask with, {stream.get('unseen_images', 0):,} of unseen categories; "
        f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}."
    ]
    if comparison.baseline:
        lines.append(f"Differences are to **{_escaped(comparison.baseline)}** on the same seeds.")
    if environment:
        lines.append(f"Machine and versions: {_escaped(environment)}.")
    return " ".join(lines)


def _table(title: str, rows: Sequence[MethodRow], columns: Sequence[Column]) -> str:
    """Return a titled table without the columns that hold nothing; nothing where no number is left."""
    named = [Column("method", name_of), *columns]
    cells = [[column.cell(row) for row in rows] for column in named]
    kept = [number for number, column in enumerate(cells) if any(cell != UNKNOWN for cell in column)]
    if all(named[number].heading in ("method", "head", "seeds") for number in kept):
        return ""
    headings = [named[number].heading for number in kept]
    lines = [
        f"**{title}**",
        "",
        _line(headings),
        _line(["---" if heading in ("method", "head") else "---:" for heading in headings]),
    ]
    lines += [_line([_escaped(cells[number][place]) for number in kept]) for place in range(len(rows))]
    return "\n".join(lines)


def _retrieval(comparison: Comparison) -> list[Column]:
    return [
        _HEAD,
        _SEEDS,
        *_main_numbers(comparison),
        _spread("R@1 within task", "within_recall_at_1"),
        _spread("forgetting within", "within_forgetting"),
        _spread("unseen R@1", "unseen_recall_at_1"),
        _spread("best test epoch (optimistic)", "best_test_epoch"),
        _difference(f"R@1 less {comparison.baseline}", "recall_at_1"),
        _difference(f"unseen R@1 less {comparison.baseline}", "unseen_recall_at_1"),
        Column("gap closed", lambda row: spread_cell(row.gap_closed, 2)),
    ]


def _carried(comparison: Comparison) -> list[Column]:
    return [
        _HEAD,
        Column("old items", lambda row: _escaped(row.gallery)),
        _SEEDS,
        *_main_numbers(comparison),
        Column("R@1 less re-embedded", lambda row: interval_cell(row.to_reembedded)),
        Column("gap closed", lambda row: spread_cell(row.gap_closed, 2)),
    ]


def _main_numbers(comparison: Comparison) -> list[Column]:
    return [
        _spread("R@1", "recall_at_1"),
        _spread(f"R@{comparison.deep_k}", f"recall_at_{comparison.deep_k}"),
        _spread("mAP@R", "map_at_r"),
        _spread("forgetting", "forgetting"),
    ]


def _difference(heading: str, measure: str) -> Column:
    return Column(heading, lambda row: interval_cell(row.difference.get(measure)))


def _recall_at_every_k(comparison: Comparison) -> list[Column]:
    scopes = (("merged", ""), ("group", "group_"), ("unseen", "unseen_"))
    return [
        _HEAD,
        *[
            _mean(f"{scope} R@{k}", f"{prefix}recall_at_{k}")
            for scope, prefix in scopes
            for k in comparison.ks
        ],
        _mean("NMI", "nmi"),
    ]


def _cost(comparison: Comparison) -> list[Column]:
    def per_category(row: MethodRow) -> str:
        kept = row.mean("bytes_statistics")
        return UNKNOWN if kept is None else size(round(kept / max(1, comparison.categories)))

    return [
        _spread("seconds to learn", "seconds_learn", 1),
        _spread("seconds to measure", "seconds_measure", 1),
        _size("peak memory", "peak_memory_bytes"),
        _size("statistics", "bytes_statistics"),
        Column("per category", per_category),
        _size("model", "bytes_model"),
        _size("drift maps", "bytes_drift"),
        _size("kept images", "bytes_images"),
    ]


def _definitions(comparison: Comparison) -> str:
    """Return the meaning of what is shown; what no run measured is not explained."""
    needed = {
        "nmi": "nmi",
        "group": "group_recall_at_1",
        "unseen": "unseen_recall_at_1",
        "best_test_epoch": "best_test_epoch",
        "members": "members_mean",
    }
    left_out = {
        name for name, measure in needed.items() if all(row.mean(measure) is None for row in comparison.rows)
    }
    texts = [text for name, text in COMPARISON_DEFINITIONS.items() if name not in left_out]
    return "\n".join(f"- {text}" for text in texts)


def _mean(heading: str, measure: str) -> Column:
    return Column(heading, lambda row: share(row.mean(measure)))


def _spread(heading: str, measure: str, digits: int = 3) -> Column:
    return Column(heading, lambda row: spread_cell(row.measures.get(measure), digits))


def _size(heading: str, measure: str) -> Column:
    return Column(heading, lambda row: size_cell(row.measures.get(measure)))


_HEAD = Column("head", lambda row: row.head)
_SEEDS = Column("seeds", lambda row: str(len(row.seeds)))
_COHORT = (
    _spread("ensemble R@1", "recall_at_1"),
    _spread("mean of the members", "members_mean"),
    _spread("best member", "best_member"),
)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _escaped(text: str) -> str:
    """Return text that neither ends a cell nor starts markup."""
    plain = printable(str(text))
    return "".join(f"\\{c}" if c in "|*`<\\" else c for c in plain)
