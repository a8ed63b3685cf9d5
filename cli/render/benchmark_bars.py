"""Forgetting as bars and Recall@K as dots, one line per method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cli.render.benchmark_style import (
    FAINT,
    INK,
    PAPER,
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

LINE_HEIGHT = 0.36
_FORGETTING = (
    ("forgetting", "merged gallery (grows with every task)"),
    ("within_forgetting", "within each task (gallery stays)"),
)
_SCOPES = (("", "merged gallery"), ("group_", "each group alone"), ("unseen_", "unseen categories"))


def forgetting_png(rows: Sequence[MethodRow], stream: str) -> bytes:
    """Draw forgetting at Recall@1 with one standard deviation, merged and within the task.

    Args:
        rows: one per method, with forgetting.
        stream: its name, for the title.
    """
    from matplotlib.figure import Figure

    with style():
        figure = Figure(figsize=(9.6, 0.7 + LINE_HEIGHT * len(rows)), layout="constrained")
        panels = figure.subplots(1, 2, sharey=True, sharex=True)
        for axes, (measure, scope) in zip(panels, _FORGETTING, strict=True):
            for place, row in enumerate(rows):
                _bar(axes, place, row, measure)
            axes.axvline(0, color=FAINT, linewidth=0.8)
            axes.set_title(scope)
            axes.grid(visible=True, axis="x", linewidth=0.6)
            axes.margins(x=0.14)
            bare(axes)
        _name_methods(panels[0], rows)
        head_line(
            figure,
            f"Forgetting at Recall@1: {stream}",
            "Shorter is better, left of 0 is improvement. Lines: standard deviation over seeds. "
            f"Methods in the order of their Recall@1, best first.\n{READOUT}",
        )
        return png(figure)


def recall_at_k_png(rows: Sequence[MethodRow], ks: Sequence[int], stream: str) -> bytes:
    """Draw Recall@K for every K, after the last task, for each scope that was measured.

    Args:
        rows: one per method.
        ks: the K of Recall@K; at least one is measured.
        stream: its name, for the title.
    """
    from matplotlib.figure import Figure

    scopes = measured_scopes(rows, ks)
    with style():
        size = (2.6 + 4.2 * len(scopes), 0.8 + LINE_HEIGHT * len(rows))
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(1, len(scopes), sharey=True, squeeze=False)[0]
        for axes, (prefix, scope) in zip(panels, scopes, strict=True):
            for place, row in enumerate(rows):
                _dots(axes, place, row, [f"{prefix}recall_at_{k}" for k in ks])
            axes.set_title(scope)
            axes.grid(visible=True, linewidth=0.6)
            axes.margins(x=0.2)
            bare(axes)
        _name_methods(panels[0], rows)
        head_line(
            figure,
            f"Recall@K after the last task: {stream}",
            f"From left to right K = {', '.join(map(str, ks))}; number: Recall@{ks[0]}. Means over seeds.\n"
            f"{READOUT}",
        )
        return png(figure)


def measured_scopes(rows: Sequence[MethodRow], ks: Sequence[int]) -> list[tuple[str, str]]:
    """Return prefix and name of the scopes in which any method's Recall@K is known."""
    return [
        (prefix, name)
        for prefix, name in _SCOPES
        if any(row.mean(f"{prefix}recall_at_{k}") is not None for row in rows for k in ks)
    ]


def _bar(axes: Axes, place: int, row: MethodRow, measure: str) -> None:
    found = row.measures.get(measure)
    if found is None:
        return
    deviation = found.deviation or 0.0
    axes.barh(place, found.mean, height=0.62, color=colour_of(row))
    if found.deviation is not None:
        axes.errorbar(found.mean, place, xerr=deviation, color=INK, capsize=2.5, linewidth=1.0)
    end = max(0.0, found.mean + deviation)
    axes.annotate(
        f"{found.mean:.3f}", (end, place), (4, 0), textcoords="offset points", va="center", fontsize=8
    )


def _dots(axes: Axes, place: int, row: MethodRow, measures: Sequence[str]) -> None:
    values = [row.mean(measure) for measure in measures]
    known = [(number, value) for number, value in enumerate(values) if value is not None]
    if not known:
        return
    colour, (_, first) = colour_of(row), known[0]
    axes.plot([first, known[-1][1]], [place, place], color=colour, linewidth=1.0, zorder=2)
    for number, value in known:
        strength = 1 - 0.7 * number / len(values)
        axes.plot(value, place, "o", color=PAPER, markersize=7, zorder=3)
        axes.plot(value, place, "o", color=colour, alpha=strength, markersize=7, markeredgewidth=0, zorder=4)
    axes.annotate(
        f"{first:.3f}",
        (first, place),
        (-7, 0),
        textcoords="offset points",
        va="center",
        ha="right",
        fontsize=8,
    )


def _name_methods(axes: Axes, rows: Sequence[MethodRow]) -> None:
    axes.set_yticks(range(len(rows)), [title_of(row) for row in rows], color=INK)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
