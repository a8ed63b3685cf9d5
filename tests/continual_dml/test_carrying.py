"""Folded maps give what carrying step by step gives, and the errors are those of the formula."""

from dataclasses import replace

import numpy as np
import pytest

from continual_dml.memory.class_statistics import measure_classes
from continual_dml.memory.discriminant_head import DiscriminantHead
from continual_dml.memory.drift import fit_drift_from_moments
from continual_dml.memory.drift_doubt import doubt_of
from continual_dml.memory.drift_maps import DriftMaps, DriftStep
from continual_dml.memory.moments import PairedMoments
from continual_dml.settings import ModelSettings, Settings
from continual_dml.strategies.carrying import Carrying
from continual_dml.strategies.state import LearnerState, MemberState

FEATURES, WIDTH = 6, 3
PLAIN = replace(Settings(), model=ModelSettings(backbone="conv4", pretrained=False))


def step(random: np.random.Generator) -> DriftStep:
    before = random.normal(size=(30, FEATURES))
    after = before + 0.3 * np.tanh(before @ random.normal(size=(FEATURES, FEATURES)))
    moments = PairedMoments.empty(FEATURES)
    moments.update(before, after)
    fit = fit_drift_from_moments(moments, 0.1)
    return DriftStep(fit.map.as_stored(), doubt_of(moments, fit, 0.1))


def member(seed: int) -> MemberState:
    random = np.random.default_rng(seed)
    features = random.normal(size=(12, FEATURES)).astype(np.float32)
    statistics = measure_classes(features, features[:, :2], np.repeat([0, 1, 2], 4), task=0)
    head = DiscriminantHead(random.normal(size=(FEATURES, WIDTH)), random.normal(size=FEATURES))
    weights = {"projection.weight": random.normal(size=(WIDTH, FEATURES)).astype(np.float32)}
    return MemberState(weights, head, statistics, DriftMaps({g: step(random) for g in (2, 4, 5)}))


STATE = LearnerState(4, (member(0),))
POINTS = np.random.default_rng(9).normal(size=(7, FEATURES)).astype(np.float16)
HEADS = {"statistics": PLAIN, "trained": replace(PLAIN, training=replace(PLAIN.training, head="trained"))}
HEADS["trained, square roots"] = replace(HEADS["trained"], model=replace(PLAIN.model, feature_map="sqrt"))


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("birth", [1, 2, 3, 4, 5, 6])
def test_vectors_are_those_of_carrying_and_then_the_head(head: str, birth: int) -> None:
    settings = HEADS[head]
    live = STATE.live_head(
        statistics_head=settings.training.uses_statistics_head, square_root=settings.model.takes_square_root
    )
    expected = live(STATE.carried(POINTS, birth))
    assert np.allclose(Carrying(STATE, settings).vectors(POINTS, birth), expected, atol=1e-6)


@pytest.mark.parametrize("reduced", [False, True])
def test_a_cohort_stands_side_by_side(reduced: bool) -> None:
    reduction = np.random.default_rng(4).normal(size=(2 * WIDTH, 2)) if reduced else None
    cohort = LearnerState(4, (member(0), member(1)), reduction)
    points = np.concatenate([POINTS, POINTS[::-1]], axis=1)
    expected = cohort.live_head(statistics_head=True, square_root=False)(cohort.carried(points, 2))
    carrying = Carrying(cohort, PLAIN)
    assert np.allclose(carrying.vectors(points, 2), expected, atol=1e-6)
    alone = [Carrying(LearnerState(4, (one,)), PLAIN) for one in cohort.members]
    means = np.mean(
        [alone[0].errors(points[:, :FEATURES], 2), alone[1].errors(points[:, FEATURES:], 2)], axis=0
    )
    assert np.allclose(carrying.errors(points, 2), means)


def test_errors_add_up_what_each_step_leaves_unexplained_as_the_rest_of_the_way_sees_it() -> None:
    own = STATE.members[0]
    slope = own.head.projection.T
    expected = np.zeros(len(POINTS))
    for generation, following in (
        (4, slope @ own.drift.steps[5].map.matrix),
        (5, slope),
    ):
        doubt = own.drift.steps[generation].doubt
        expected += (1 + doubt.leverage(POINTS)) * doubt.variance_after(following)
    lengths = np.square(own.head.lengthy(STATE.carried(POINTS, 2))).sum(axis=1)
    assert np.allclose(Carrying(STATE, PLAIN).errors(POINTS, 2), expected / lengths / 2)


def test_items_of_several_births_are_judged_as_each_birth_alone() -> None:
    births = np.array([5, 1, 4, 2, 1, 6, 3])
    carrying = Carrying(STATE, PLAIN)
    alone = [carrying.errors(POINTS[row : row + 1], birth)[0] for row, birth in enumerate(births.tolist())]
    assert np.allclose(carrying.errors(POINTS, births), alone)


def test_nothing_is_wrong_with_what_the_live_model_said_itself() -> None:
    assert Carrying(STATE, PLAIN).errors(POINTS, 5).tolist() == [0.0] * len(POINTS)


def test_an_error_is_about_what_a_fitted_map_is_off_by() -> None:
    random = np.random.default_rng(3)
    turn = random.normal(size=(FEATURES, FEATURES)) / 3

    def moved(points: np.ndarray) -> np.ndarray:
        return np.asarray(points + 0.2 * np.tanh(points @ turn) + 0.2 * random.normal(size=points.shape))

    before = random.normal(size=(400, FEATURES))
    moments = PairedMoments.empty(FEATURES)
    moments.update(before, moved(before))
    fit = fit_drift_from_moments(moments, 0.01)
    own = replace(
        STATE.members[0],
        head=DiscriminantHead(np.eye(FEATURES), np.full(FEATURES, -3.0)),
        drift=DriftMaps({2: DriftStep(fit.map, doubt_of(moments, fit, 0.01))}),
    )
    carrying = Carrying(LearnerState(2, (own,)), PLAIN)
    points = random.normal(size=(500, FEATURES))
    cosines = np.einsum("nd,nd->n", carrying.vectors(points, 1), own.head(moved(points)))
    measured = float((1 - cosines).mean())
    assert measured / 2 < carrying.errors(points, 1).mean() < 2 * measured
