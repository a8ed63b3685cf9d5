"""The replayed memory is the learner's own, and the table says what was measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.refresh_estimators import measured
from benchmarks.refresh_tables import ON_VIEWS, REEMBEDDED, STALE, StreamRuns, findings, render
from benchmarks.replayed_memory import Gallery, as_stored, replayed
from benchmarks.stream_features import StreamFeatures, read_features, write_features
from continual_dml.memory.drift_estimators import DEFAULT, ESTIMATORS
from continual_dml.settings import ModelSettings, Settings

TASKS, CATEGORIES, EACH, DIMENSION = 3, 4, 6, 8
SETTINGS = Settings(model=ModelSettings(backbone="conv4", pretrained=False, embedding_dim=4))


def turn(seed: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(DIMENSION, DIMENSION)))[0]


@pytest.fixture
def features() -> StreamFeatures:
    """Return three tasks of four categories, whose features each task turns and shifts."""
    random = np.random.default_rng(0)
    labels = [np.repeat(np.arange(CATEGORIES) + CATEGORIES * task, EACH) for task in range(TASKS)]
    centres = 4 * random.normal(size=(TASKS * CATEGORIES, DIMENSION))
    shown = [[centres[own] + 0.3 * random.normal(size=(len(own), DIMENSION)) for own in labels] for _ in "ab"]
    models = [np.eye(DIMENSION), turn(1), turn(1) @ turn(2)]
    train, query = (
        [[(part @ model + i).astype(np.float32) for part in parts] for i, model in enumerate(models)]
        for parts in shown
    )
    views = {task: (train[task - 1][task], train[task][task]) for task in range(1, TASKS)}
    return StreamFeatures(train, query, labels, labels, views)


def test_features_with_their_views_are_read_back(features: StreamFeatures, tmp_path) -> None:  # type: ignore[no-untyped-def]
    write_features(tmp_path / "kept.safetensors", features)
    again = read_features(tmp_path / "kept.safetensors")
    assert again.tasks == TASKS
    assert np.array_equal(again.train[2][1], features.train[2][1])
    assert sorted(again.views) == [1, 2]
    assert np.array_equal(again.views[2][0], features.views[2][0])


def test_old_items_are_carried_as_the_learner_carries_them(features: StreamFeatures) -> None:
    memories = replayed(features, SETTINGS)
    seen = []

    def watched(before, after, labels):  # type: ignore[no-untyped-def]
        carry = ESTIMATORS[DEFAULT](before, after, labels)

        def noting(points, owners):  # type: ignore[no-untyped-def]
            seen.append(carry(points, owners))
            return seen[-1]

        return noting

    Gallery(features, memories).projected(watched)
    births = [as_stored(features.train[0][0]), as_stored(features.train[1][1])]
    for birth, carried in enumerate(seen[1:]):  # those of the last step
        np.testing.assert_allclose(carried, memories[-1].carried(births[birth], birth), atol=1e-4)


def test_a_drift_that_is_affine_is_undone_and_left_alone_it_costs(features: StreamFeatures) -> None:
    gallery = Gallery(features, replayed(features, SETTINGS))
    anew = gallery.reembedded()
    assert len(anew) == TASKS - 1
    assert gallery.projected(ESTIMATORS["linear"]) == pytest.approx(anew, abs=0.02)
    assert gallery.projected(ESTIMATORS["linear"], on_views=True) == pytest.approx(anew, abs=0.02)
    assert gallery.stale()[-1] < anew[-1] - 0.2


def results(**recalls: list[list[float]]) -> list[dict[str, object]]:
    """Return the results of a stream, one of each seed."""
    costs = {"fit_seconds": [0.5, 1.5], "kept_bytes": [0, 2048]}
    free = {"fit_seconds": [], "kept_bytes": []}
    return [
        {
            "environment": {"python": "3"},
            "stream": "glyphs",
            "seed": seed,
            "kinds": {
                kind: {"recall": of_seeds[seed], **(free if kind in (STALE, REEMBEDDED) else costs)}
                for kind, of_seeds in recalls.items()
                if seed < len(of_seeds)
            },
        }
        for seed in (0, 1)
    ]


MEASURED = {
    STALE: [[0.5, 0.4], [0.5, 0.4]],
    REEMBEDDED: [[0.7, 0.8], [0.9, 0.8]],
    "ridge": [[0.7, 0.76], [0.86, 0.76]],
    "identity": [[0.6, 0.5], [0.4, 0.6]],
}


def test_each_kind_is_measured_after_each_later_task_with_what_its_fits_took(
    features: StreamFeatures,
) -> None:
    gallery = Gallery(features, replayed(features, SETTINGS))
    found = measured(gallery)
    assert set(found) == {STALE, REEMBEDDED, *ESTIMATORS, ON_VIEWS}
    assert all(len(kind.recall) == TASKS - 1 for kind in found.values())
    assert found[DEFAULT].recall == gallery.projected(ESTIMATORS[DEFAULT])
    assert found[DEFAULT].kept_bytes == [4 * DIMENSION * (DIMENSION + 1)] * (TASKS - 1)
    assert len(found[DEFAULT].fit_seconds) == TASKS - 1
    assert found[STALE].fit_seconds == []
    assert ON_VIEWS not in measured(Gallery(replace(features, views={}), gallery.memories))


def test_efficiency_and_gap_are_taken_seed_by_seed() -> None:
    runs = StreamRuns.of("glyphs", results(**MEASURED))
    np.testing.assert_allclose(runs.efficiency("ridge"), [[1.0, 0.9], [0.9, 0.9]])
    np.testing.assert_allclose(runs.gap("ridge"), [[0.0, 4.0], [4.0, 4.0]], atol=1e-9)
    assert (runs.below_stale("ridge"), runs.below_stale("identity")) == (0, 1)
    assert runs.costs == {"ridge": (1.0, 1024.0), "identity": (1.0, 1024.0)}


def test_the_findings_name_what_was_missed_and_by_how_much() -> None:
    efficiency, gap = findings(StreamRuns.of("glyphs", results(**MEASURED)), "ridge")
    assert efficiency.endswith("0.95, 0.90. Aim 0.9: met.")
    assert gap.endswith("2.0, 4.0. Aim at most 2: missed by 2.0.")


def test_the_last_result_of_a_seed_counts_and_a_kind_without_all_seeds_is_left_out() -> None:
    earlier = results(**{**MEASURED, "ridge": [[0.1, 0.1], [0.1, 0.1]]})
    runs = StreamRuns.of("glyphs", [*earlier, *results(**MEASURED, linear=[[0.1, 0.1]])])
    assert runs.recall["ridge"].tolist() == MEASURED["ridge"]
    assert "linear" not in runs.recall


def test_the_table_has_a_row_for_each_kind_the_best_first() -> None:
    lines = [line.split("|") for line in render(results(**MEASURED)).splitlines() if line.startswith("| ")]
    assert [line[1].strip() for line in lines[1:]] == [REEMBEDDED, "**ridge**", "identity", STALE]
    assert lines[3][2].strip() == "0.550 ± 0.071"
    assert [cell.strip() for cell in lines[3][-4:-1]] == ["1 of 4", "1.00", "1.0 KiB"]
