"""Slopes of curves, and which of them break a promise."""

from __future__ import annotations

import pytest

from benchmarks.scaling_tables import curve_table, slope

PLACES = (1_000, 10_000, 100_000)


def curve(**figures: tuple[float, ...]) -> dict[str, object]:
    points = [
        {"at": place, "figures": {name: values[number] for name, values in figures.items()}}
        for number, place in enumerate(PLACES)
    ]
    return {"of": "items", "points": points}


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0, 2.0])
def test_the_slope_of_a_power_is_its_exponent(power):
    assert slope([(x, 7 * x**power) for x in PLACES]) == pytest.approx(power)


def test_what_takes_nothing_at_all_has_a_slope_too():
    assert slope([(x, 0.0) for x in PLACES]) == 0.0


def test_a_figure_that_grows_faster_than_promised_stands_out():
    lines = curve_table(
        curve(flat=(5, 5, 5), grows=(1, 10, 100), free=(1, 100, 10_000)), {"flat": 0.1, "grows": 0.5}
    )
    assert lines[0] == "| items | 1,000 | 10,000 | 100,000 | slope | of the last two | |"
    assert lines[2:] == [
        "| flat | 5 | 5 | 5 | 0.00 | 0.00 | at most 0.1 |",
        "| grows | 1 | 10 | 100 | 1.00 | 1.00 | **more than 0.5** |",
        "| free | 1 | 100 | 10,000 | 2.00 | 2.00 |  |",
    ]


def test_growth_that_begins_late_is_seen_at_the_last_two():
    (line,) = curve_table(curve(late=(5, 5, 50)), {"late": 0.6})[2:]
    assert line.endswith("| 0.50 | 1.00 | **more than 0.6** |")
