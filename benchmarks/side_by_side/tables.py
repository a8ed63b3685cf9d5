"""What was measured, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.side_by_side.intervals import shown
from benchmarks.side_by_side.rounds import median_of
from benchmarks.side_by_side.rows import OURS, Row, Target
from benchmarks.side_by_side.verdicts import Verdict, is_void, noise, verdicts

_HEAD = (
    "| what | ours | against | theirs | ratio (95 % interval) | processor time | aim | |",
    "|---|---:|---|---:|---|---:|---|---|",
)


def table(rows: Sequence[Row], results: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the lines of all measured rows, and below them what stands behind each."""
    measured = [row for row in rows if row.name in results]
    lines = [*_HEAD]
    for row in measured:
        found = results[row.name]
        lines.extend(_line(row, found, verdict) for verdict in verdicts(row, found))
    lines += ["", *(_behind(row, results[row.name]) for row in measured)]
    missed = [line for row in measured for line in _missed(row, results[row.name])]
    return "\n".join([*lines, *missed, ""])


def _line(row: Row, result: Mapping[str, Any], verdict: Verdict) -> str:
    target, figures = verdict.target, result["figures"]
    theirs = ""
    if target.against is not None:
        theirs = figure_text(row, target.figure, median_of(figures, target.against, target.figure))
    cells = [
        row.title if target.of == OURS else f"{row.title}, {target.of}",
        figure_text(row, target.figure, median_of(figures, target.of, target.figure)),
        target.against or "",
        theirs,
        str(verdict.found) if target.against is not None else "",
        "" if verdict.processor is None else shown(verdict.processor.median),
        aim(row, target),
        "void" if is_void(row, result) else "met" if verdict.met else "**missed**",
    ]
    return "| " + " | ".join(cells) + " |"


def aim(row: Row, target: Target) -> str:
    """Return an aim in words."""
    lower = target.at_least > float("-inf")
    bound = target.at_least if lower else target.at_most
    said = f"{bound:g}x" if target.against is not None else figure_text(row, target.figure, bound)
    what = "" if target.figure == "seconds" else f" {_name(target.figure)}"
    return f"{'>=' if lower else '<='} {said}{what if target.against else ''}"


def figure_text(row: Row, name: str, value: float) -> str:
    """Return a figure with its unit."""
    if name == "memory":
        return f"{shown(value)} MB"
    if name not in ("seconds", "processor"):
        return f"{shown(value)} {_name(name)}"
    if row.unit:
        return f"{shown(1 / value)} {row.unit}/s"
    return f"{shown(value)} s" if value >= 1 else f"{shown(value * 1000)} ms"


def _name(figure: str) -> str:
    return figure.replace("_", " ")


def _behind(row: Row, result: Mapping[str, Any]) -> str:
    sizes = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in result["sizes"].items())
    quiet = noise(result)
    parts = [
        f"{result['rounds']} rounds",
        *([] if quiet is None else [f"ours over ours {quiet}"]),
        *([sizes] if sizes else []),
        *(["quick sizes"] if result["quick"] else []),
        str(result["environment"]["processor"]),
    ]
    return f"- {row.title}: {'; '.join(parts)}."


def _missed(row: Row, result: Mapping[str, Any]) -> list[str]:
    failed = [verdict for verdict in verdicts(row, result) if not verdict.met]
    if not failed:
        return []
    lines = ["", f"**{row.title}** misses"]
    for verdict in failed:
        target = verdict.target
        against = f" against {target.against}" if target.against else ""
        end = verdict.found.low if target.at_least > float("-inf") else verdict.found.high
        own = "" if target.of == OURS else f" by {target.of}"
        lines[-1] += f" {aim(row, target)}{own}{against} with {shown(end)};"
    lines[-1] = f"{lines[-1].rstrip(';')}. {row.limits}".rstrip()
    lines[-1] += f" Profile: `benchmarks/results/profiles/{row.name}.txt`."
    return lines
