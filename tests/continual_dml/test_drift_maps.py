"""Drift maps are kept step by step and composed from the birth of what is carried."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from continual_dml.memory.drift import AffineMap, fit_drift_from_moments
from continual_dml.memory.drift_doubt import doubt_of
from continual_dml.memory.drift_maps import DriftMaps, DriftStep
from continual_dml.memory.moments import PairedMoments
from tests.continual_dml.drift_steps import step_of


def random_map(random: np.random.Generator, dimension: int, to: int | None = None) -> AffineMap:
    rows = dimension if to is None else to
    return AffineMap(random.normal(size=(rows, dimension)), random.normal(size=rows))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_way_from_a_birth_is_every_later_step_one_after_the_other(seed: int) -> None:
    random = np.random.default_rng(seed)
    second, fourth, fifth = (random_map(random, 3) for _ in range(3))
    maps = DriftMaps({}).advanced(step_of(second), 2).advanced(step_of(fourth), 4)
    maps = maps.advanced(step_of(fifth), 5)
    points = random.normal(size=(6, 3))
    ways = {1: fifth(fourth(second(points))), 2: fifth(fourth(points)), 4: fifth(points), 5: points}
    for birth, expected in ways.items():
        assert np.allclose(maps.from_birth(birth, 3)(points), expected)
    assert np.allclose(maps.from_birth(3, 3)(points), ways[2]), "generation 3 left the model as it was"


def test_a_last_map_to_few_dimensions_is_folded_into_every_way_at_once() -> None:
    random = np.random.default_rng(0)
    steps = {generation: step_of(random_map(random, 5)) for generation in (2, 3, 7)}
    maps, last, points = DriftMaps(steps), random_map(random, 5, to=2), random.normal(size=(4, 5))
    folded = maps.then(last, [1, 2, 5, 7])
    assert set(folded) == {1, 2, 5, 7}
    for birth, whole in folded.items():
        assert whole.matrix.shape == (2, 5)
        assert np.allclose(whole(points), last(maps.from_birth(birth, 5)(points)))


def test_steps_that_nothing_has_to_go_any_more_are_let_go() -> None:
    step = step_of(AffineMap.identity(2))
    maps = DriftMaps({2: step, 3: step, 5: step})
    assert sorted(maps.needed_for([3, 6]).steps) == [5]
    assert sorted(maps.needed_for([1]).steps) == [2, 3, 5]
    assert not maps.needed_for([]).steps


def test_a_step_survives_being_written_down_to_the_bit() -> None:
    random = np.random.default_rng(3)
    before = random.normal(size=(9, 4))
    moments = PairedMoments.empty(4)
    moments.update(before, before @ random.normal(size=(4, 4)))
    fit = fit_drift_from_moments(moments, 0.1)
    step = DriftStep(fit.map.as_stored(), doubt_of(moments, fit, 0.1))
    again = DriftStep.from_arrays(step.to_arrays())
    assert np.array_equal(again.map(before), step.map(before))
    for name, array in step.to_arrays().items():
        assert np.array_equal(array, again.to_arrays()[name]), name
