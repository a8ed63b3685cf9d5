import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from continual_dml.metrics.reliability import (
    Logistic,
    expected_calibration_error,
    fit_logistic,
    wilson_interval,
)


@given(total=st.integers(1, 200), data=st.data())
def test_the_interval_ends_where_the_share_is_just_two_deviations_away(total, data):
    """Wilson's interval inverts the score test: |p - share| = z sqrt(p (1 - p) / n) at both ends."""
    right = data.draw(st.integers(0, total))
    share = right / total
    for end in wilson_interval(right, total):
        if 0 < end < 1:
            reach = 1.959964 * math.sqrt(end * (1 - end) / total)
            assert abs(end - share) == pytest.approx(reach, abs=1e-7)


def test_fewer_answers_give_a_wider_interval_and_none_say_nothing():
    widths = [high - low for low, high in (wilson_interval(4 * n, 5 * n) for n in (1, 4, 40))]
    assert widths == sorted(widths, reverse=True)
    assert wilson_interval(0, 0) == (0.0, 1.0)


def penalised(constant, slopes, features, outcomes):
    """Return what the fit minimises, in standardised features, by a slow loop."""
    centre, spread = features.mean(axis=0), features.std(axis=0)
    rows = [*((features - centre) / spread).tolist(), [0.0] * features.shape[1], [0.0] * features.shape[1]]
    loss = 0.5 * sum(slope**2 for slope in slopes)
    for row, outcome in zip(rows, [*outcomes.tolist(), False, True], strict=True):
        value = constant + sum(slope * x for slope, x in zip(slopes, row, strict=True))
        loss += math.log1p(math.exp(-value if outcome else value))
    return loss


def test_the_fit_is_the_least_of_its_penalised_loss():
    random = np.random.default_rng(1)
    features = random.normal(0, [1, 5], (60, 2))
    outcomes = random.random(60) < 1 / (1 + np.exp(-(0.5 + features @ [1.0, 0.2])))
    fit = fit_logistic(features, outcomes)
    centre, spread = features.mean(axis=0), features.std(axis=0)
    slopes = np.array(fit.slopes) * spread
    constant = fit.constant + np.array(fit.slopes) @ centre
    least = penalised(constant, slopes, features, outcomes)
    for step in (-0.01, 0.01):
        assert penalised(constant + step, slopes, features, outcomes) > least
        assert penalised(constant, np.add(slopes, [step, 0]), features, outcomes) > least
        assert penalised(constant, np.add(slopes, [0, step]), features, outcomes) > least


def test_a_feature_that_speaks_against_the_outcome_is_left_out():
    outcomes = np.array([True, True, False, False])
    features = np.array([[4.0, 0.0], [3.0, 1.0], [1.0, 5.0], [0.0, 4.0]])
    fit = fit_logistic(features, outcomes)
    assert fit.slopes[0] > 0
    assert fit.slopes[1] == 0


@pytest.mark.parametrize("outcome", [True, False])
def test_outcomes_that_are_all_the_same_leave_a_little_doubt(outcome):
    fit = fit_logistic(np.array([[0.1], [0.5], [0.9]]), np.full(3, outcome))
    likely = fit(np.array([[0.5]]))[0]
    assert (0.7 < likely < 0.95) if outcome else (0.05 < likely < 0.3)


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10_000), count=st.integers(0, 30), scale=st.sampled_from([1e-3, 1.0, 1e3]))
def test_probabilities_are_finite_and_rise_with_every_feature(seed, count, scale):
    random = np.random.default_rng(seed)
    features = scale * random.normal(size=(count, 2))
    fit = fit_logistic(features, random.random(count) < 0.5)
    points = scale * np.array([[-1.0, 0.0], [0.0, 0.0], [0.0, 1.0], [2.0, 2.0]])
    found = fit(points)
    assert np.isfinite(found).all()
    assert (np.diff(found) >= 0).all()


def test_features_that_do_not_vary_count_nothing():
    fit = fit_logistic(np.full((4, 1), 0.8), np.array([True, True, True, False]))
    assert fit == Logistic(pytest.approx(math.log(4 / 2)), (0.0,))


def test_calibration_error_is_that_of_a_slow_loop_over_equal_bins():
    confidences = np.array([0.9, 0.1, 0.4, 0.8])
    right = np.array([True, False, True, False])
    gaps = [abs(0.25 - 0.5), abs(0.85 - 0.5)]
    assert expected_calibration_error(confidences, right, 2) == pytest.approx(sum(gaps) / 2)
    assert math.isnan(expected_calibration_error(np.zeros(0), np.zeros(0, dtype=bool)))


def test_answers_that_keep_their_word_have_a_small_error():
    random = np.random.default_rng(0)
    confidences = random.random(20_000)
    right = random.random(20_000) < confidences
    assert expected_calibration_error(confidences, right) < 0.02
    assert expected_calibration_error(confidences**3, right) > 0.1
