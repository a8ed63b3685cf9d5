"""The files of a benchmark: summary, runs, tables and pictures, each written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.render.benchmark_csv import runs_csv
from cli.render.benchmark_documents import comparison_document
from cli.render.benchmark_tables import comparison_markdown, markdown_table
from cli.shell import printable
from cli.whole_files import write_whole
from continual_dml.errors import CdmlError

if TYPE_CHECKING:
    from continual_dml.comparisons.rows import Comparison

__all__ = ["markdown_table", "write_comparison", "write_file"]


def write_comparison(
    directory: Path, runs: Sequence[Mapping[str, Any]], baseline: str | None = None
) -> list[Path]:
    """Write what the runs of one stream say together.

    ``summary.json``, ``runs.csv`` and ``table.md`` always; ``recall_matrices.png``,
    ``recall_over_tasks.png``, ``forgetting.png`` and ``recall_at_k.png`` where the runs have
    the numbers for them.

    Args:
        directory: folder to write to; made where it is missing.
        runs: run documents, one per method and seed.
        baseline: label to take differences to; by default the frozen network, where it was run.

    Returns:
        The files written.

    Raises:
        CdmlError: runs that cannot be compared, or a file that cannot be written.
        UnknownChoice: a baseline without a run.
    """
    from continual_dml.comparisons.summary import compare

    comparison = compare(runs, baseline)
    document = comparison_document(comparison, runs[0]["stream"])
    texts = {
        "summary.json": json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
        "runs.csv": runs_csv(runs),
        "table.md": comparison_markdown(comparison, runs),
    }
    written = [write_file(directory / name, text.encode()) for name, text in texts.items()]
    return written + [write_file(directory / name, content) for name, content in _pictures(comparison, runs)]


def _pictures(comparison: Comparison, runs: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, bytes]]:
    from cli.render.benchmark_bars import forgetting_png, measured_scopes, recall_at_k_png
    from cli.render.benchmark_curves import recall_over_tasks_png
    from cli.render.benchmark_heat_maps import recall_matrices_png

    rows, stream = comparison.headlines(), printable(runs[0]["stream"]["name"])
    with_matrix = [row for row in rows if any(row.over_tasks)]
    if with_matrix:
        yield "recall_matrices.png", recall_matrices_png(with_matrix, task_names(runs), stream)
        yield "recall_over_tasks.png", recall_over_tasks_png(with_matrix, stream)
    forgetting = [row for row in rows if row.mean("forgetting") is not None]
    if forgetting:
        yield "forgetting.png", forgetting_png(forgetting, stream)
    if measured_scopes(rows, comparison.ks):
        yield "recall_at_k.png", recall_at_k_png(rows, comparison.ks, stream)


def task_names(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the tasks' names, or empty ones where the seeds deal them in different orders."""
    orders = {tuple(task["name"] for task in run["stream"]["tasks"]) for run in runs}
    first, *others = orders
    return [""] * len(first) if others else [printable(name) for name in first]


def write_file(path: Path, content: bytes) -> Path:
    """Write beside the target and rename, so that a reader never meets half a file."""
    advice = "free the place or choose another folder and run again; finished runs are kept"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CdmlError(f"cannot write {path}: {error.strerror or error}; {advice}") from error
    write_whole(path, content, advice)
    return path
