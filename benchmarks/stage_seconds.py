"""What each part of a command took, as the command tells it: a profile of a process that one waits for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def stage_table(columns: Mapping[str, Mapping[str, float]]) -> str:
    """Return seconds by part, one column for each command, as lines of text.

    >>> first, second = {"learn": 2.5, "all": 4.0}, {"learn": 3.0, "all": 5.25}
    >>> print(stage_table({"task 1": first, "task 2": second}), end="")
    seconds of         task 1   task 2
    learn                2.50     3.00
    all                  4.00     5.25
    """
    first, *_ = columns.values()
    lines = [_line("seconds of", columns)]
    lines += [_line(part, (f"{column[part]:.2f}" for column in columns.values())) for part in first]
    return "".join(lines)


def _line(name: str, cells: Iterable[str]) -> str:
    return f"{name:16}" + "".join(f"{cell:>9}" for cell in cells) + "\n"
