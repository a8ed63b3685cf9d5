"""Streaming moments of paired features: any chunking equals the whole batch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from continual_dml.errors import TrainingError
from continual_dml.memory.drift import fit_drift, fit_drift_from_moments
from continual_dml.memory.moments import PairedMoments


def paired_features(seed: int, count: int, dimension: int = 3, offset: float = 0.0):
    random = np.random.default_rng(seed)
    before = random.normal(size=(count, dimension)) + offset
    return before, 0.7 * before + 0.2 * random.normal(size=(count, dimension)) - offset


def moments_of(before, after) -> PairedMoments:
    moments = PairedMoments.empty(before.shape[1])
    moments.update(before, after)
    return moments


def assert_equal(first: PairedMoments, second: PairedMoments, scale: float = 1.0) -> None:
    assert first.count == second.count
    for name in ("mean_a", "mean_b", "scatter_aa", "scatter_ba", "scatter_bb"):
        assert np.allclose(getattr(first, name), getattr(second, name), rtol=1e-11, atol=1e-11 * scale), name


def test_the_moments_of_one_batch_are_those_that_numpy_computes() -> None:
    before, after = paired_features(0, 12)
    moments = moments_of(before, after)
    expected = np.cov(before.T, after.T, bias=True)  # (2 d, 2 d): old features, then new ones
    assert np.allclose(moments.c_aa, expected[:3, :3])
    assert np.allclose(moments.c_ba, expected[3:, :3])
    assert np.allclose(moments.c_bb, expected[3:, 3:])
    assert np.allclose(moments.mean_a, before.mean(axis=0))
    assert np.allclose(moments.mean_b, after.mean(axis=0))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    chunks=st.lists(st.integers(0, 9), min_size=1, max_size=8),
    offset=st.sampled_from([0.0, 10.0, -300.0]),
)
def test_streaming_equals_the_whole_batch_in_any_chunking(
    seed: int, chunks: list[int], offset: float
) -> None:
    before, after = paired_features(seed, sum(chunks), offset=offset)
    streamed, merged, start = PairedMoments.empty(3), PairedMoments.empty(3), 0
    for size in chunks:
        rows = slice(start, start + size)
        streamed.update(before[rows], after[rows])
        merged = merged.merged(moments_of(before[rows], after[rows]))
        start += size
    whole = moments_of(before, after)
    assert_equal(streamed, whole, scale=1 + abs(offset))
    assert_equal(merged, whole, scale=1 + abs(offset))


def test_features_far_from_the_origin_lose_no_digits() -> None:
    before, after = paired_features(1, 200, offset=1e7)  # sums of squares would keep two digits of a variance
    streamed = PairedMoments.empty(3)
    for start in range(0, 200, 7):
        streamed.update(before[start : start + 7], after[start : start + 7])
    expected = np.cov(before.T, after.T, bias=True)
    assert np.allclose(streamed.c_aa, expected[:3, :3], rtol=1e-6)
    assert np.allclose(streamed.c_ba, expected[3:, :3], rtol=1e-6, atol=1e-6)


def test_merging_leaves_both_parts_as_they_were() -> None:
    first, second = moments_of(*paired_features(2, 5)), moments_of(*paired_features(3, 4))
    before, together = (first.count, first.scatter_aa.copy(), first.mean_b.copy()), first.merged(second)
    assert together.count == 9
    assert first.count == before[0]
    assert np.array_equal(first.scatter_aa, before[1])
    assert np.array_equal(first.mean_b, before[2])
    assert_equal(together, second.merged(first))


def test_single_precision_features_are_summed_in_double_precision() -> None:
    before, after = paired_features(4, 50)
    moments = moments_of(before.astype(np.float32), after.astype(np.float32))
    assert moments.scatter_ba.dtype == np.float64
    assert_equal(moments, moments_of(before.astype(np.float32).astype(float), after.astype(np.float32)))


def test_a_map_from_streamed_moments_is_the_map_from_all_images_at_once() -> None:
    before, after = paired_features(5, 40)
    streamed = PairedMoments.empty(3)
    for start in range(0, 40, 9):
        streamed.update(before[start : start + 9], after[start : start + 9])
    ours, whole = fit_drift_from_moments(streamed, 0.3), fit_drift(before, after, 0.3)
    assert np.allclose(ours.map.matrix, whole.map.matrix, atol=1e-12)
    assert np.allclose(ours.map.offset, whole.map.offset, atol=1e-12)
    assert np.allclose(ours.residual, whole.residual, atol=1e-12)


@pytest.mark.parametrize("shapes", [((4, 3), (5, 3)), ((4, 3), (4, 2)), ((4, 2), (4, 2)), ((3,), (3,))])
def test_features_that_do_not_belong_together_are_refused(shapes) -> None:
    with pytest.raises(TrainingError, match="same images"):
        PairedMoments.empty(3).update(np.zeros(shapes[0]), np.zeros(shapes[1]))


def test_no_image_gives_no_map() -> None:
    with pytest.raises(TrainingError, match="no image"):
        fit_drift_from_moments(PairedMoments.empty(3), 1.0)
    with pytest.raises(TrainingError, match="no image"):
        fit_drift(np.zeros((0, 3)), np.zeros((0, 3)), 1.0)
