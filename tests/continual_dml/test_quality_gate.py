"""Whether a generation may go live by itself: the limits, case by case, and what must hold of any case."""

from dataclasses import replace
from math import comb, isclose, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from continual_dml.metrics.recall import retrieval_metrics
from continual_dml.settings import GateSettings
from continual_dml.workflows.quality_gate import (
    Evidence,
    GateCheck,
    Guessing,
    chance_of_recall,
    judge,
    with_gate,
    with_gate_of_refresh,
)

shares = st.floats(0, 1)
DEFAULT = GateSettings()


def check(name: str, evidence: Evidence, **settings: float | None) -> GateCheck:
    (found,) = (one for one in judge(evidence, GateSettings(**settings)).checks if one.name == name)
    return found


@pytest.mark.parametrize(
    ("before", "now", "queries", "value", "limit"),
    [
        ([0.9], [0.8], [100], 0.1, 0.25 + 2 / 100),
        ([0.9, 0.6], [0.5, 0.6], [50, 40], 0.2, 0.25 + 2 / (2 * 40)),
        ([0.9, 0.6], [0.2, 0.4], [50, 40], 0.45, 0.25 + 2 / (2 * 40)),
        ([0.5], [0.8], [8], -0.3, 0.5),
        ([0.9, 1.0], [0.7, 0.0], [50, 7], 0.2, 0.25 + 2 / 50),  # seven queries say too little
        ([0.9, None], [0.7, 0.1], [50, 50], 0.2, 0.25 + 2 / 50),  # no query at the time
        ([0.9, 0.9], [0.7, None], [50, 0], 0.2, 0.25 + 2 / 50),  # its queries were deleted
    ],
)
def test_forgetting_is_what_publishing_would_cost_the_earlier_tasks_on_average(
    before: list[float | None], now: list[float | None], queries: list[int], value: float, limit: float
) -> None:
    found = check("forgetting", Evidence(before, now, queries))
    assert isclose(found.value, value)
    assert isclose(found.limit, limit)
    assert found.passed == (value <= limit)
    assert (found.note is None) == found.passed
    if not found.passed:
        assert "--max-forgetting" in found.note


def test_the_limit_itself_is_allowed_and_two_queries_are_never_too_much() -> None:
    assert check("forgetting", Evidence([1.0], [1 - 0.27], [100])).passed
    assert not check("forgetting", Evidence([1.0], [1 - 0.28], [100])).passed
    assert check("forgetting", Evidence([1.0], [0.8], [10]), max_forgetting=0.0).passed
    assert not check("forgetting", Evidence([1.0], [0.7], [10]), max_forgetting=0.0).passed


@pytest.mark.parametrize(
    ("recall", "guessing", "least", "limit", "passed"),
    [
        (0.30, Guessing(0.25, 40), None, 0.25 + 2 * sqrt(0.25 * 0.75 / 40), False),
        (0.40, Guessing(0.25, 40), None, 0.25 + 2 * sqrt(0.25 * 0.75 / 40), True),
        (0.26, Guessing(0.25, 100_000), None, 0.25 + 2 * sqrt(0.25 * 0.75 / 100_000), True),
        (0.40, Guessing(0.25, 8), None, 0.25 + 0.75 / 4, False),
        (0.50, Guessing(0.25, 8), None, 0.25 + 0.75 / 4, True),
        (0.60, Guessing(0.5, 12), None, 0.5 + 0.5 / 4, False),
        (0.79, Guessing(0.25, 40), 0.8, 0.8, False),
        (0.80, Guessing(0.25, 40), 0.8, 0.8, True),
        (0.00, Guessing(0.5, 1), 0.1, 0.1, False),  # asked for: however few queries there are
    ],
)
def test_the_new_tasks_queries_must_find_more_than_chance_would_or_what_is_asked_for(
    recall: float, guessing: Guessing, least: float | None, limit: float, passed: bool
) -> None:
    found = check("recall", Evidence(recall=recall, guessing=guessing), min_recall=least)
    assert isclose(found.limit, limit)
    assert (found.value, found.passed, found.note is None) == (recall, passed, passed)


@pytest.mark.parametrize(
    ("value", "least", "passed", "judged"),
    [
        (0.8, 0.9, False, True),
        (0.9, 0.9, True, True),
        (-1.0, 0.0, True, False),
        (0.1, None, True, False),
        (None, 0.9, True, False),
    ],
)
def test_refresh_efficiency_is_judged_where_it_is_asked_for_and_measured(
    value: float | None, least: float | None, passed: bool, judged: bool
) -> None:
    found = check("refresh_efficiency", Evidence(refresh_efficiency=value), min_refresh_efficiency=least)
    assert (found.passed, found.value is not None) == (passed, judged)


@pytest.mark.parametrize(
    ("name", "evidence", "settings", "note"),
    [
        ("forgetting", Evidence(), {}, "no earlier task"),
        ("forgetting", Evidence([1.0], [0.0], [7]), {}, "no earlier task was asked with 8 queries"),
        ("forgetting", Evidence([1.0], [0.0], [99]), {"max_forgetting": 1.0}, "switched off"),
        ("recall", Evidence(), {}, "no query of the new task"),
        (
            "recall",
            Evidence(recall=1.0, guessing=Guessing(1.0, 50)),
            {},
            "fewer than 6 queries",
        ),
        ("recall", Evidence(recall=0.0, guessing=Guessing(0.25, 7)), {}, "fewer than 6 queries"),
        ("recall", Evidence(recall=0.0, guessing=Guessing(0.5, 90)), {"min_recall": 0.0}, "switched off"),
    ],
)
def test_what_cannot_be_judged_is_passed_and_says_why(
    name: str, evidence: Evidence, settings: dict[str, float], note: str
) -> None:
    found = check(name, evidence, **settings)
    assert (found.value, found.limit, found.passed) == (None, None, True)
    assert note in found.note


def test_the_refusal_names_everything_that_failed_in_one_line() -> None:
    bad = Evidence([0.9], [0.1], [50], 0.2, Guessing(0.25, 40), 0.3)
    verdict = judge(bad, GateSettings(min_refresh_efficiency=0.9))
    assert not verdict.passed
    assert verdict.refusal == (
        "forgetting is 0.800, above 0.290; recall is 0.200, below 0.387; "
        "refresh efficiency is 0.300, below 0.900"
    )
    assert judge(Evidence(), DEFAULT).refusal is None


@given(
    queries=st.lists(st.integers(0, 4), max_size=12),
    gallery=st.lists(st.integers(0, 4), max_size=12),
    k=st.integers(1, 5),
)
def test_chance_is_the_share_of_all_draws_that_hold_a_positive(
    queries: list[int], gallery: list[int], k: int
) -> None:
    found = []
    for category in queries:
        positives = gallery.count(category)
        if positives:
            drawn = min(k, len(gallery))
            found.append(1 - comb(len(gallery) - positives, drawn) / comb(len(gallery), drawn))
    guessing = chance_of_recall(queries, gallery, k)
    assert (guessing is None) == (not found)
    if guessing is not None:
        assert guessing.queries == len(found)
        assert isclose(guessing.chance, sum(found) / len(found), abs_tol=1e-12)


@given(chance=st.floats(1e-6, 1), queries=st.integers(1, 1000), low=shares, high=shares)
def test_a_better_recall_is_never_worse_and_guessing_right_always_is_enough(
    chance: float, queries: int, low: float, high: float
) -> None:
    low, high = sorted((low, high))
    worse, better = (
        check("recall", Evidence(recall=r, guessing=Guessing(chance, queries))) for r in (low, high)
    )
    assert better.passed >= worse.passed
    assert check("recall", Evidence(recall=1.0, guessing=Guessing(chance, queries))).passed
    if worse.limit is not None:
        assert chance < worse.limit <= 1, "an embedding that guesses is refused, a perfect one is not"


@given(chance=shares, few=st.integers(1, 500), more=st.integers(0, 500))
def test_the_limit_comes_closer_to_chance_the_more_queries_there_are(
    chance: float, few: int, more: int
) -> None:
    limits = [
        check("recall", Evidence(recall=1.0, guessing=Guessing(chance, queries))).limit
        for queries in (few, few + more)
    ]
    if None not in limits:
        assert limits[1] <= limits[0] + 1e-12


@given(
    rows=st.lists(st.tuples(shares, shares, st.integers(0, 50)), min_size=1, max_size=5),
    most=st.floats(0, 1),
    more=st.floats(0, 1),
    order=st.randoms(use_true_random=False),
)
def test_allowing_more_never_refuses_and_the_order_of_tasks_does_not_matter(
    rows: list[tuple[float, float, int]], most: float, more: float, order: object
) -> None:
    strict, lenient = sorted((most, more))
    evidence = Evidence(*zip(*rows, strict=True))
    found = check("forgetting", evidence, max_forgetting=strict)
    assert check("forgetting", evidence, max_forgetting=lenient).passed >= found.passed
    order.shuffle(rows)
    again = check("forgetting", Evidence(*zip(*rows, strict=True)), max_forgetting=strict)
    assert again.passed == found.passed or isclose(found.value, found.limit, abs_tol=1e-6)
    assert check("forgetting", replace(evidence, now=evidence.before), max_forgetting=0.0).passed


def labelled(
    random: np.random.Generator, categories: int, each: int, spread: float
) -> tuple[np.ndarray, np.ndarray]:
    """Vectors around one direction per category, or of no direction at all, and their categories."""
    labels = np.repeat(np.arange(categories), each)
    centres = np.eye(categories, 16, dtype=np.float32)[labels]
    vectors = centres + spread * random.normal(size=centres.shape).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), labels


def refused(random: np.random.Generator, spread: float, categories: int, queries: int) -> bool:
    asked, searched = (labelled(random, categories, each, spread) for each in (queries, 12))
    found = retrieval_metrics(*asked, *searched, ks=(1,))
    rows = {"recall_at_k": {"1": [[found.recall[1]]]}}
    report = {**rows, "within_task": rows, "queries": {}, "tasks": [{"id": 7}], "definitions": {}}
    gate = with_gate(report, {}, asked[1].tolist(), searched[1].tolist(), DEFAULT)["gate"]
    return not gate["passed"]


@pytest.mark.parametrize(("categories", "queries"), [(3, 4), (4, 6), (10, 5), (5, 40)])
def test_noise_is_refused_and_what_can_be_told_apart_is_not(categories: int, queries: int) -> None:
    random = np.random.default_rng(0)
    noise = [refused(random, 1e6, categories, queries) for _ in range(60)]
    assert sum(noise) > 45, "now and then chance finds more than chance"
    assert not any(refused(random, 0.1, categories, queries) for _ in range(60))


def test_the_verdict_stands_in_the_report_with_what_it_means() -> None:
    row = {"recall_at_k": {"5": [[0.9], [0.2, 0.95]], "20": [[1.0], [1.0, 1.0]]}}
    compared = {"refresh_efficiency": 0.5, "rows": [{"generation": 1}, {"generation": 2}]}
    report = {
        **row, "within_task": row, "tasks": [{"id": 3}, {"id": 7}], "queries": {"3": {"measured": 40}},
        "generation": 2, "definitions": {"average": "..."}, "compatibility": compared,
    }  # fmt: skip
    labels = [0, 1, 2, 3] * 10
    before = {"recall_at_k": {"5": [[0.9]]}}
    limits = GateSettings(min_refresh_efficiency=0.6)

    found = with_gate(report, before, labels, labels, limits)

    assert {name: found[name] for name in row} == row
    assert sorted(found["definitions"]) == ["average", "gate"]
    forgetting, recall, efficiency = found["gate"]["checks"]
    assert isclose(forgetting["value"], 0.7)
    chance = 1 - comb(30, 5) / comb(40, 5)  # at the smallest K that is reported
    assert isclose(recall["limit"], chance + (1 - chance) / 4)
    assert (efficiency["value"], efficiency["passed"]) == (0.5, False)
    assert found["gate"]["refusal"] == (
        "forgetting is 0.700, above 0.300; refresh efficiency is 0.500, below 0.600"
    )
    of_old = {"compatibility": {**compared, "rows": [{"generation": 1}]}}  # reports take it along
    assert with_gate({**report, **of_old}, {}, labels, labels, limits)["gate"]["passed"]
    assert with_gate({**report, "compatibility": None}, {}, labels, labels, limits)["gate"]["passed"]
    assert with_gate(report, {"recall_at_k": {"1": [[0.9]]}}, labels, labels, DEFAULT)["gate"]["passed"]


def measured_after_refresh(*recalls: float) -> dict[str, object]:
    tasks = [{"id": number} for number, _ in enumerate(recalls, 1)]
    queries = {str(task["id"]): {"measured": 50} for task in tasks}
    return {"recall_at_k": {"1": [list(recalls)]}, "tasks": tasks, "queries": queries, "definitions": {}}


def test_a_refresh_that_costs_any_task_too_much_is_refused_the_newest_task_included() -> None:
    before = {"recall_at_k": {"1": [[0.5], [0.9, 0.9]]}}
    kept = with_gate_of_refresh(measured_after_refresh(0.8, 0.9), before, DEFAULT)["gate"]
    lost = with_gate_of_refresh(measured_after_refresh(0.9, 0.2), before, DEFAULT)["gate"]
    assert kept["passed"]
    assert not lost["passed"]
    assert lost["refusal"] == "forgetting is 0.350, above 0.270"


def test_a_refusal_says_how_many_images_were_added_since_the_live_generation_was_measured() -> None:
    before = {"recall_at_k": {"1": [[0.9, 0.9]]}}
    added = {**before, "added_since": {"gallery": 40, "new_categories": 2}}
    worse = measured_after_refresh(0.2, 0.2)
    plain, note = (
        with_gate_of_refresh(worse, parent, DEFAULT)["gate"]["checks"][0]["note"]
        for parent in (before, added)
    )
    said = "40 images were added since the live generation was measured and count too"
    assert note == f"{plain}; {said}"
    assert with_gate_of_refresh(measured_after_refresh(0.9, 0.9), added, DEFAULT)["gate"]["passed"]
