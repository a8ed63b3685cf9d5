import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from continual_dml.metrics.open_set import (
    accept_rate,
    accept_rate_of_categories,
    auroc,
    threshold_for,
)

NOTHING = np.zeros(0)
scores_with_ties = st.lists(st.integers(0, 6).map(lambda n: n / 6), min_size=1, max_size=12)


def slow_auroc(known, unknown):
    pairs = [(k, u) for k in known for u in unknown]
    return sum(1.0 if k > u else 0.5 if k == u else 0.0 for k, u in pairs) / len(pairs)


def slow_rate_of_categories(scores, categories, threshold):
    shares = []
    for category in sorted(set(categories)):
        own = [s for s, c in zip(scores, categories, strict=True) if c == category]
        shares.append(sum(s >= threshold for s in own) / len(own))
    return sum(shares) / len(shares)


def keeps_promise(scores, categories, threshold, target):
    count = len(set(categories))
    promised = (1 + count * slow_rate_of_categories(scores, categories, threshold)) / (count + 1)
    return promised <= target + 1e-9


@settings(deadline=None, max_examples=150)
@given(known=scores_with_ties, unknown=scores_with_ties)
def test_auroc_is_the_share_of_pairs_in_the_right_order_and_half_of_the_ties(known, unknown):
    assert auroc(np.array(known), np.array(unknown)) == pytest.approx(slow_auroc(known, unknown))


def test_without_scores_every_figure_is_unknown():
    some = np.array([0.5])
    assert math.isnan(auroc(NOTHING, some))
    assert math.isnan(auroc(some, NOTHING))
    assert math.isnan(accept_rate(NOTHING, 0.5))
    assert math.isnan(accept_rate_of_categories(NOTHING, NOTHING.astype(np.int64), 0.5))
    assert threshold_for(NOTHING, NOTHING.astype(np.int64), 0.5) is None


@settings(deadline=None, max_examples=150)
@given(data=st.data(), scores=scores_with_ties, threshold=st.integers(0, 7).map(lambda n: n / 6))
def test_rates_are_those_of_a_slow_loop_and_a_score_at_the_threshold_is_accepted(data, scores, threshold):
    categories = data.draw(st.lists(st.integers(0, 3), min_size=len(scores), max_size=len(scores)))
    values, names = np.array(scores), np.array(categories)
    assert accept_rate(values, threshold) == sum(s >= threshold for s in scores) / len(scores)
    expected = slow_rate_of_categories(scores, categories, threshold)
    assert accept_rate_of_categories(values, names, threshold) == pytest.approx(expected)


@settings(deadline=None, max_examples=200)
@given(data=st.data(), scores=scores_with_ties, target=st.floats(0.05, 0.95))
def test_the_threshold_is_the_lowest_that_keeps_its_promise(data, scores, target):
    categories = data.draw(st.lists(st.integers(0, 9), min_size=len(scores), max_size=len(scores)))
    found = threshold_for(np.array(scores), np.array(categories), target)
    above_all = max(scores) + 1
    if found is None:
        assert not keeps_promise(scores, categories, above_all, target - 2e-9)
        return
    assert keeps_promise(scores, categories, found, target)
    lower = [score for score in scores if score < found]
    assert not keeps_promise(scores, categories, max(lower), target - 2e-9)


@pytest.mark.parametrize(("categories", "possible"), [(18, False), (19, True)])
def test_five_percent_need_nineteen_categories(categories, possible):
    found = threshold_for(np.linspace(0, 1, categories), np.arange(categories), 0.05)
    assert (found is not None) == possible
    assert found is None or found > 1


def test_float32_scores_that_tie_with_a_refused_one_are_refused():
    scores = np.array([0.7, 0.7, 0.1, 0.2], dtype=np.float32)
    threshold = threshold_for(scores, np.arange(4), 0.25)
    assert threshold is not None
    assert accept_rate(scores, threshold) == 0


@pytest.mark.parametrize("categories", [20, 60])
def test_a_further_category_of_the_same_kind_is_let_in_no_more_often_than_promised(categories):
    """Images of a category resemble each other: most of the spread is between categories."""
    random = np.random.default_rng(0)
    rates = []
    for _ in range(400):
        centres = random.normal(0, 1, categories + 1)
        scores = centres[:, None] + 0.3 * random.normal(0, 1, (categories + 1, 4))
        seen = np.repeat(np.arange(categories), 4)
        threshold = threshold_for(scores[:-1].ravel(), seen, 0.1)
        rates.append(accept_rate(scores[-1], threshold))
    assert np.mean(rates) < 0.12
    assert np.mean(rates) > 0.04
