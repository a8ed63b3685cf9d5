"""Average Recall@1 as the stream goes on: one panel per method, the others behind it in grey."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cli.render.benchmark_style import (
    CONTEXT,
    FAINT,
    READOUT,
    bare,
    colour_of,
    head_line,
    png,
    style,
    title_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from continual_dml.comparisons.rows import MethodRow

COLUMNS = 4


def recall_over_tasks_png(rows: Sequence[MethodRow], stream: str) -> bytes:
    """Draw the average over the tasks learned so far, after each task, with a band of one deviation.

    Args:
        rows: one per method, with at least one stage measured.
        stream: its name, for the title.
    """
    from matplotlib.figure import Figure

    across = min(COLUMNS, len(rows))
    down = -(-len(rows) // across)
    with style():
        figure = Figure(figsize=(3.0 * across, 2.25 * down), layout="constrained")
        panels = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True)
        for place, axes in enumerate(panels.flat):
            if place >= len(rows):
                axes.set_axis_off()
                continue
            for other in rows:
                _line(axes, other, CONTEXT, width=1.0)
            _highlight(axes, rows[place])
            axes.set_xticks(_ticks(len(rows[place].over_tasks)))
            axes.tick_params(labelbottom=place + across >= len(rows))
            axes.grid(visible=True, axis="y", linewidth=0.6)
            axes.margins(x=0.16)
            bare(axes)
        figure.supxlabel("tasks learned", fontsize=9)
        figure.supylabel("average Recall@1", fontsize=9)
        head_line(
            figure,
            f"Average Recall@1 while tasks are learned: {stream}",
            "Mean over the tasks learned so far, all of them searched. Line and band: mean and standard "
            f"deviation over seeds. Grey: the other methods.\n{READOUT}",
        )
        return png(figure)


def _ticks(tasks: int) -> list[int]:
    """Return 1 and the multiples of a round step up to the number of tasks.

    >>> _ticks(5), _ticks(50)
    ([1, 2, 3, 4, 5], [1, 10, 20, 30, 40, 50])
    """
    step = 1 if tasks <= 8 else 5 * -(-tasks // 25)
    return sorted({1, *range(step, tasks + 1, step)})


def _highlight(axes: Axes, row: MethodRow) -> None:
    colour = colour_of(row)
    stages = [(place, found) for place, found in enumerate(row.over_tasks, 1) if found is not None]
    _line(axes, row, colour, width=2.0)
    low = [found.mean - (found.deviation or 0.0) for _, found in stages]
    high = [found.mean + (found.deviation or 0.0) for _, found in stages]
    axes.fill_between([place for place, _ in stages], low, high, color=colour, alpha=0.22, linewidth=0)
    last, found = stages[-1]
    if len(stages) == 1 and found.deviation is not None:
        axes.errorbar([last], [found.mean], yerr=[found.deviation], color=colour, capsize=3, zorder=4)
    axes.annotate(
        f"{found.mean:.3f}",
        (last, found.mean),
        xytext=(5, 0),
        textcoords="offset points",
        va="center",
        color=colour,
        fontweight="bold",
        fontsize=8,
    )
    axes.set_title(title_of(row))
    axes.tick_params(labelsize=8, labelcolor=FAINT)


def _line(axes: Axes, row: MethodRow, colour: str, width: float) -> None:
    """Draw what was measured; a lone stage is a dot."""
    values = np.array([np.nan if found is None else found.mean for found in row.over_tasks])
    marker = "o" if np.isfinite(values).sum() == 1 else ""
    axes.plot(
        np.arange(1, len(values) + 1), values, color=colour, linewidth=width, marker=marker, markersize=5
    )
