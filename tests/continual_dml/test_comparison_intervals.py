"""Means, deviations and intervals over seeds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from continual_dml.comparisons.spread import Spread, paired_interval, spread

shares = st.floats(-1, 1).map(lambda value: round(value, 4))


def test_the_spread_is_the_sample_standard_deviation():
    assert spread([0.70, 0.74]) == Spread(0.72, pytest.approx(0.028284, abs=1e-6), 2)  # .04 / sqrt 2


def test_one_seed_has_a_mean_and_no_spread():
    assert spread([0.7]) == Spread(0.7, None, 1)


def test_nothing_has_neither():
    assert spread([]) is None
    assert paired_interval([]) is None


def test_three_seeds_get_students_interval():
    found = paired_interval([0.010, 0.020, 0.030])

    assert found.kind == "t"
    assert (found.low, found.high) == (pytest.approx(-0.004842, abs=2e-6), pytest.approx(0.044842, abs=2e-6))


def test_one_seed_gets_a_difference_without_an_interval():
    found = paired_interval([0.02])

    assert (found.mean, found.low, found.high, found.kind) == (0.02, None, None, None)


@given(st.lists(shares, min_size=2, max_size=9))
def test_below_ten_seeds_the_interval_agrees_with_scipy(differences):
    found = paired_interval(differences)

    half = (
        stats.t.ppf(0.975, len(differences) - 1) * np.std(differences, ddof=1) / math.sqrt(len(differences))
    )
    assert found.high - found.low == pytest.approx(2 * half, abs=1e-4)


def test_from_ten_seeds_on_the_interval_is_a_bootstrap_over_seeds():
    differences = [0.01 * (seed % 5) for seed in range(20)]  # mean .02, standard error .0032

    found = paired_interval(differences)

    assert found.kind == "bootstrap"
    assert found.low == pytest.approx(0.02 - 1.96 * 0.00316, abs=5e-4)
    assert found.high == pytest.approx(0.02 + 1.96 * 0.00316, abs=5e-4)


@given(st.lists(shares, min_size=2, max_size=15))
def test_an_interval_holds_its_mean_and_is_the_same_every_time(differences):
    found = paired_interval(differences)

    assert found.low - 1e-5 <= found.mean <= found.high + 1e-5
    assert paired_interval(differences) == found
