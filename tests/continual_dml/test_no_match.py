"""Calibration on points of the unit circle, against slow loops."""

import json
import math

import numpy as np
import pytest

from continual_dml.metrics.open_set import auroc, threshold_for
from continual_dml.metrics.reliability import expected_calibration_error
from continual_dml.strategies.acceptance import AcceptanceRule
from continual_dml.strategies.no_match import RECENT_TESTS, calibrate
from continual_dml.strategies.unknown_tests import (
    CLOSENESS_COUNTS,
    MOST_CATEGORIES,
    MOST_IMAGES,
    UnknownTest,
    Vectors,
    try_on_unknown,
)


def circle(angles, categories):
    radians = np.radians(np.asarray(angles, dtype=np.float64))
    vectors = np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)
    return Vectors(vectors, np.asarray(categories, dtype=np.int64))


def cosine(angle):
    return math.cos(math.radians(angle))


def ring(categories, spread=2.0, seed=0):
    """Return a gallery of evenly spread categories with three items each, and two queries of each."""
    random = np.random.default_rng(seed)
    centres = 360 / categories * np.arange(categories)
    gallery = circle(
        (centres[:, None] + spread * np.array([-1, 0, 1])).ravel(), np.repeat(range(categories), 3)
    )
    asked = (centres[:, None] + random.normal(0, 3, (categories, 2))).ravel()
    return circle(asked, np.repeat(range(categories), 2)), gallery


def past_test(scores, generation=1, accepted=None):
    return UnknownTest(
        generation, generation + 1, len(scores), len(scores), 0.5, accepted, tuple((s,) for s in scores)
    )


def slow_unknown_scores(queries, gallery):
    """Return the best cosine of each query to an item of another category; all are equally close together."""
    scores = []
    for vector, own in zip(queries.vectors, queries.categories, strict=True):
        others = [
            float(vector @ item)
            for item, category in zip(gallery.vectors, gallery.categories, strict=True)
            if category != own
        ]
        scores.append(max(others))
    return np.array(scores)


def test_the_threshold_is_that_of_queries_whose_own_category_is_left_out():
    queries, gallery = ring(24)
    found = calibrate(queries, gallery, 0.1)
    scores = slow_unknown_scores(queries, gallery)
    assert found.rule.threshold == pytest.approx(threshold_for(scores, queries.categories, 0.1), abs=1e-5)
    assert found.false_accepts <= 0.1
    known = (queries.vectors @ gallery.vectors.T).max(axis=1)
    assert found.true_accepts == pytest.approx((known >= found.rule.threshold).mean())
    assert found.auroc == pytest.approx(auroc(known, scores), abs=1e-3)
    assert (found.queries, found.simulated, found.never_seen) == (48, 24, 0)


def test_a_category_whose_items_lie_close_together_takes_a_higher_cosine():
    gallery = circle([0, 1, 100, 110, 200, 210], [4, 4, 5, 5, 6, 6])
    found = calibrate(circle([], []), gallery, 0.1)
    assert found.rule.offsets[5] == found.rule.offsets[6] == 0
    assert found.rule.offsets[4] == pytest.approx(CLOSENESS_COUNTS * (cosine(1) - cosine(10)), abs=1e-5)


def test_categories_that_earlier_generations_had_never_seen_have_a_vote_each():
    queries, gallery = ring(24)
    tests = [past_test([0.99] * 10)]
    alone, with_tests = calibrate(queries, gallery, 0.1), calibrate(queries, gallery, 0.1, tests)
    assert with_tests.rule.threshold > alone.rule.threshold
    assert with_tests.rule.threshold > 0.99
    assert (with_tests.simulated, with_tests.never_seen) == (24, 10)


def test_an_image_that_is_in_the_gallery_matches_in_every_category():
    gallery = circle([0, 0.1, 90, 120, 200, 230], [4, 4, 5, 5, 6, 6])
    rule = calibrate(circle([], []), gallery, 0.1, [past_test([0.97] * 20)]).rule
    assert rule.threshold + CLOSENESS_COUNTS * (cosine(0.1) - cosine(30)) > 1
    assert rule.judge([1.0, 0.2], [4, 5]).match
    assert not rule.judge([0.998, 0.2], [4, 5]).match


def test_tests_of_long_ago_are_let_go():
    queries, gallery = ring(24)
    tests = [past_test([0.999], generation) for generation in range(1, RECENT_TESTS + 3)]
    found = calibrate(queries, gallery, 0.1, tests)
    assert [test.generation for test in found.tests] == list(range(3, RECENT_TESTS + 3))
    assert found.never_seen == RECENT_TESTS


def test_too_few_categories_give_no_threshold_and_say_how_many_it_takes():
    queries, gallery = ring(18)
    found = calibrate(queries, gallery, 0.05)
    assert found.rule.threshold is None
    assert "18 could stand for unknown ones" in found.rule.reason
    assert "it takes 19" in found.rule.reason
    assert (found.false_accepts, found.true_accepts) == (None, None)
    assert calibrate(*ring(19), 0.05).rule.threshold is not None


def test_categories_of_earlier_tests_help_where_the_gallery_has_too_few():
    queries, gallery = ring(10)
    assert calibrate(queries, gallery, 0.05, [past_test([0.1] * 9)]).rule.threshold is not None


def test_it_can_be_switched_off():
    found = calibrate(*ring(24), 0.0)
    assert found.rule.threshold is None
    assert "switched off" in found.rule.reason
    assert found.rule.likely is not None


def test_queries_of_categories_without_an_item_are_not_asked():
    gallery = circle([0, 1, 90, 91], [1, 1, 2, 2])
    found = calibrate(circle([0, 45], [1, 3]), gallery, 0.3)
    assert found.queries == 1


def test_a_gallery_of_one_category_or_of_none_has_no_unknown_queries():
    one = calibrate(circle([0], [1]), circle([0, 1], [1, 1]), 0.3)
    assert (one.rule.threshold, one.simulated, one.auroc) == (None, 0, None)
    none = calibrate(circle([0], [1]), circle([], []), 0.3)
    assert (none.rule.threshold, none.queries, dict(none.categories)) == (None, 0, {})


def test_categories_are_told_with_their_answers_and_how_sure_those_are():
    gallery = circle([0, 2, 90, 180, 182], [1, 1, 2, 3, 3])
    queries = circle([1, 1, 88, 179, 100], [1, 1, 1, 3, 3])
    figures = calibrate(queries, gallery, 0.4).categories
    assert (figures[1].images, figures[1].answers, figures[1].right) == (2, 2, 2)
    assert (figures[2].images, figures[2].answers, figures[2].right) == (1, 2, 0)
    assert (figures[3].answers, figures[3].right) == (1, 1)
    assert figures[2].closeness is None
    assert figures[1].closeness == pytest.approx(cosine(2), abs=1e-5)
    assert figures[1].interval[1] == 1
    assert figures[3].interval[0] < figures[1].interval[0]


def test_confidence_is_how_often_an_answer_of_its_kind_is_right():
    _, gallery = ring(24)
    random, own = np.random.default_rng(0), np.repeat(np.arange(24), 40)
    seen, fresh = (circle(15.0 * own + random.normal(0, 6, len(own)), own) for _ in range(2))
    rule = calibrate(seen, gallery, 0.05).rule
    similarities = fresh.vectors @ gallery.vectors.T
    order = np.argsort(-similarities, axis=1)
    answers = [
        rule.judge(row[best].tolist(), gallery.categories[best].tolist())
        for row, best in zip(similarities, order, strict=True)
    ]
    confidences = np.array([answer.confidence for answer in answers])
    right = gallery.categories[order[:, 0]] == fresh.categories
    assert expected_calibration_error(confidences, right, 5) < 0.05
    assert confidences[right].mean() > confidences[~right].mean() + 0.05


def test_a_few_answers_say_nothing_of_how_sure_they_are():
    _, gallery = ring(24)
    assert calibrate(circle([1], [0]), gallery, 0.05).rule.likely is None


def test_a_report_gives_back_the_rule_and_the_tests_exactly():
    test = past_test([0.2, 0.4], 3, 0.5)
    found = calibrate(*ring(24), 0.1, [test])
    document = json.loads(json.dumps(found.to_document(), allow_nan=False))
    assert document == found.to_document()
    assert AcceptanceRule.from_report({"no_match": document}) == found.rule
    assert [UnknownTest.from_document(one) for one in document["tests"]] == [test]


def test_a_generation_is_tested_on_the_categories_that_it_does_not_know():
    gallery = circle([0, 10, 90, 100], [1, 1, 2, 2])
    images = circle([0, 30, 40, 120], [1, 8, 8, 9])
    rule = AcceptanceRule(cosine(25))
    found = try_on_unknown(images, gallery, rule, generation=4, task_id=6)
    assert (found.generation, found.task_id, found.images, found.categories) == (4, 6, 3, 2)
    assert found.threshold == cosine(25)
    assert found.accepted == pytest.approx((1 / 2 + 1) / 2)
    assert [len(one) for one in found.scores] == [2, 1]
    assert found.scores[1][0] == pytest.approx(cosine(20), abs=1e-5)


def test_the_rule_is_applied_as_it_was_and_the_scores_are_those_of_its_gallery():
    gallery = circle([0, 1, 90, 100], [1, 1, 2, 2])
    rule = AcceptanceRule(0.5, offsets={1: 0.4})
    found = try_on_unknown(circle([50, -30], [8, 9]), gallery, rule, 1, 2)
    assert found.accepted == pytest.approx(1 / 2)  # 0.77 of category 2 is enough, 0.87 of category 1 is not
    closer = CLOSENESS_COUNTS * (cosine(1) - np.median([cosine(1)] * 2 + [cosine(10)] * 2))
    assert found.scores[1][0] == pytest.approx(cosine(30) - closer, abs=1e-5)


def test_a_generation_without_a_threshold_is_tested_all_the_same():
    found = try_on_unknown(circle([50], [8]), circle([0, 10], [1, 1]), AcceptanceRule(None), 1, 2)
    assert (found.threshold, found.accepted) == (None, None)
    assert len(found.scores) == 1


def test_there_is_no_test_where_all_categories_are_known_or_there_is_no_gallery():
    gallery = circle([0, 10], [1, 1])
    assert try_on_unknown(circle([0], [1]), gallery, AcceptanceRule(0.5), 1, 2) is None
    assert try_on_unknown(circle([0], [1]), circle([], []), AcceptanceRule(0.5), 1, 2) is None


def test_a_large_task_is_tested_on_some_images_of_some_categories():
    categories = np.repeat(np.arange(MOST_CATEGORIES + 50), MOST_IMAGES + 5)
    images = circle(np.linspace(0, 180, len(categories)), categories)
    found = try_on_unknown(images, circle([0, 10], [999, 999]), AcceptanceRule(0.5), 1, 2)
    assert (found.categories, found.images) == (MOST_CATEGORIES, MOST_CATEGORIES * MOST_IMAGES)
