"""Recall matrices as heat maps, one panel per method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cli.render.benchmark_style import FAINT, READOUT, head_line, png, shortened, style, title_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

    from continual_dml.comparisons.rows import MethodRow

COLUMNS = 4
MOST_WITH_NUMBERS = 12
MOST_IN_TASK = 12


def recall_matrices_png(rows: Sequence[MethodRow], tasks: Sequence[str], stream: str) -> bytes:
    """Draw the mean over seeds of every method's Recall@1 in the merged gallery.

    Args:
        rows: one per method, with a matrix.
        tasks: their names, in the order learned; empty where seeds learn them in different orders.
        stream: its name, for the title.
    """
    from matplotlib.figure import Figure

    across = min(COLUMNS, len(rows))
    down = -(-len(rows) // across)
    side = min(4.2, max(2.3, 0.42 * len(tasks) + 0.4))
    known = [value for row in rows for line in row.matrix for value in line if value is not None]
    with style():
        figure = Figure(figsize=(across * (side + 0.35) + 0.8, down * (side + 0.55)), layout="constrained")
        panels = figure.subplots(down, across, squeeze=False)
        for place, axes in enumerate(panels.flat):
            if place >= len(rows):
                axes.set_axis_off()
                continue
            row = rows[place]
            picture = _panel(axes, row, (min(known), max(known)))
            _name_tasks(axes, tasks, first=place % across == 0)
        figure.colorbar(picture, ax=panels, shrink=0.6, aspect=30, label="Recall@1", pad=0.015)
        head_line(
            figure,
            f"Recall@1 of each task after each task: {stream}",
            "Row: after learning this task. Column: asked with this task's queries. All learned tasks are "
            f"searched; means over seeds.\n{READOUT}",
        )
        return png(figure)


def _panel(axes: Axes, row: MethodRow, limits: tuple[float, float]) -> AxesImage:
    values = np.full((len(row.matrix), len(row.matrix)), np.nan)
    for i, line in enumerate(row.matrix):
        values[i, : len(line)] = [np.nan if value is None else value for value in line]
    picture = axes.imshow(values, cmap="cividis", vmin=limits[0], vmax=limits[1])
    average = row.mean("recall_at_1")
    axes.set_title(title_of(row) + ("" if average is None else f"\n{average:.3f} in the end"))
    if len(values) <= MOST_WITH_NUMBERS:
        for (i, j), value in np.ndenumerate(values):
            if np.isfinite(value):
                dark = value < limits[0] + 0.45 * (limits[1] - limits[0])
                text = f"{value:.2f}".removeprefix("0")
                axes.text(
                    j, i, text, ha="center", va="center", fontsize=7.5, color="white" if dark else "black"
                )
    for side in axes.spines.values():
        side.set_visible(False)
    return picture


def _name_tasks(axes: Axes, tasks: Sequence[str], *, first: bool) -> None:
    """Name the tasks at the left of the whole and number them elsewhere; of very many, every few only."""
    step = -(-len(tasks) // 25)
    places = list(range(0, len(tasks), step))
    numbers = [str(place + 1) for place in places]
    names = [f"{shortened(tasks[place], MOST_IN_TASK)}  {place + 1}".lstrip() for place in places]
    axes.tick_params(length=0, labelsize=7, labelcolor=FAINT)
    axes.set_xticks(places, numbers)
    axes.set_yticks(places, names if first else numbers)
