import math

import numpy as np
import pytest

from continual_dml.metrics.reliability import Logistic
from continual_dml.strategies.acceptance import NOT_JUDGED, AcceptanceRule

RULE = AcceptanceRule(0.6, offsets={7: 0.1, 8: -0.2}, likely=Logistic(0.0, (1.0, 2.0)))


@pytest.mark.parametrize(
    ("similarity", "category", "match", "threshold"),
    [(0.7, 7, True, 0.7), (0.69, 7, False, 0.7), (0.41, 8, True, 0.4), (0.59, 9, False, 0.6)],
)
def test_what_it_takes_depends_on_the_category_of_the_nearest_item(similarity, category, match, threshold):
    verdict = RULE.judge([similarity, 0.1], [category, 1])
    assert verdict.match is match
    assert verdict.threshold == pytest.approx(threshold)


def test_confidence_grows_with_the_score_and_with_the_lead_over_the_next_category():
    verdict = RULE.judge([0.9, 0.8, 0.3], [7, 7, 1])
    assert verdict.confidence == pytest.approx(1 / (1 + math.exp(-(0.8 + 2 * 0.6))))
    closer_rival = RULE.judge([0.9, 0.8, 0.7], [7, 7, 1])
    assert closer_rival.confidence < verdict.confidence


def test_where_only_one_category_was_looked_at_the_last_item_stands_for_the_next():
    verdict = RULE.judge([0.9, 0.5], [7, 7])
    assert verdict.confidence == pytest.approx(1 / (1 + math.exp(-(0.8 + 2 * 0.4))))


def test_without_a_threshold_nothing_is_judged_but_the_confidence_stays():
    rule = AcceptanceRule(None, "too few", likely=Logistic(1.0, (0.0, 0.0)))
    verdict = rule.judge([0.2], [1])
    assert (verdict.match, verdict.threshold) == (None, None)
    assert verdict.confidence == pytest.approx(1 / (1 + math.exp(-1)))


def test_where_nothing_is_found_nothing_matches():
    assert RULE.judge([], []).match is False
    assert AcceptanceRule(None).judge([], []) == NOT_JUDGED


def test_scores_are_cosines_less_the_offset_of_their_category():
    found = RULE.scores(np.array([0.5, 0.5, 0.5], dtype=np.float32), np.array([7, 8, 9]))
    assert found == pytest.approx([0.4, 0.7, 0.5])


def test_a_report_from_before_there_were_thresholds_gives_a_rule_without_one():
    rule = AcceptanceRule.from_report({"generation": 3})
    assert rule.threshold is None
    assert rule.reason is not None
    assert "built before" in rule.reason
