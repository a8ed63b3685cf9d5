"""The discriminant head against scipy-free slow references and hand-made points."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from continual_dml.memory.class_statistics import ClassStatistics, measure_classes
from continual_dml.memory.discriminant_head import _running_mean, fit_discriminant_head, unit_rows


def two_noisy_classes(
    seed: int = 0, dimension: int = 6, classes: int = 3
) -> tuple[ClassStatistics, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), 40)
    centres = random.normal(size=(classes, dimension))
    spread = np.diag([5.0] + [0.1] * (dimension - 1))  # one loud direction that says nothing about the class
    features = (centres[labels] + random.normal(size=(len(labels), dimension)) @ spread).astype(np.float32)
    return measure_classes(features, features[:, :2], labels, task=0), features, labels


def separation(vectors: np.ndarray, labels: np.ndarray) -> float:
    """Mean cosine within classes minus mean cosine between them."""
    similarity, same = vectors @ vectors.T, labels[:, None] == labels[None]
    return float(similarity[same].mean() - similarity[~same].mean())


def test_it_quiets_directions_that_vary_within_classes() -> None:
    statistics, features, labels = two_noisy_classes()
    head = fit_discriminant_head(statistics, shrinkage=1e-3, embedding_dim=4)
    assert separation(head(features), labels) > 2 * separation(unit_rows(features - features.mean(0)), labels)


def test_within_class_scatter_is_white_after_the_projection() -> None:
    statistics, _, _ = two_noisy_classes()
    head = fit_discriminant_head(statistics, shrinkage=1e-9, embedding_dim=6)
    within = head.projection.T @ (statistics.scatter / statistics.total) @ head.projection
    assert np.allclose(within, np.eye(6), atol=1e-5)


def test_the_leading_directions_span_the_whitened_class_means() -> None:
    statistics, _, _ = two_noisy_classes(classes=3)
    head = fit_discriminant_head(statistics, shrinkage=0.3, embedding_dim=5)
    projected = (statistics.means - head.centre) @ head.projection
    assert np.abs(projected[:, 2:]).max() < 1e-6, "three class means span two directions, the rest is noise"


def test_the_head_is_never_wider_than_the_features() -> None:
    statistics, features, _ = two_noisy_classes(dimension=6)
    assert fit_discriminant_head(statistics, 0.3, embedding_dim=64)(features).shape == (120, 6)


def test_a_class_with_a_single_image_does_no_harm() -> None:
    features = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]], dtype=np.float32)
    statistics = measure_classes(features, features, np.array([0, 0, 1]), task=0)
    vectors = fit_discriminant_head(statistics, 0.3, 2)(features)
    assert np.isfinite(vectors).all()
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]


def test_a_single_class_still_gives_finite_unit_vectors() -> None:
    features = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    statistics = measure_classes(features, features, np.zeros(8, dtype=np.int64), task=0)
    assert np.allclose(
        np.linalg.norm(fit_discriminant_head(statistics, 0.3, 3)(features), axis=1), 1.0, atol=1e-5
    )


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 8))
def test_directions_are_orthonormal_in_the_within_class_metric(seed: int, width: int) -> None:
    statistics, _, _ = two_noisy_classes(seed)
    shrinkage = 0.3
    head = fit_discriminant_head(statistics, shrinkage, width)
    within = statistics.scatter / statistics.total
    within = within + shrinkage * np.trace(within) / 6 * np.eye(6)
    gram = head.projection.T @ within @ head.projection
    assert np.allclose(gram, np.eye(min(width, 6)), atol=1e-6)


def test_unit_rows_leaves_a_zero_row_at_zero() -> None:
    assert unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist() == [
        [np.float32(0.6), np.float32(0.8)],
        [0.0, 0.0],
    ]


def many_classes_of_few_images(seed: int) -> tuple[ClassStatistics, np.ndarray, np.ndarray, np.ndarray]:
    """Sixty classes that differ in 4 of 40 dimensions: the statistics of half of the images, and the rest."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(60), 8)
    centres = np.zeros((60, 40))
    centres[:, :4] = 2.0 * random.normal(size=(60, 4))
    features = (centres[labels] + random.normal(size=(len(labels), 40))).astype(np.float32)
    learned = np.tile([True, False], len(labels) // 2)
    statistics = measure_classes(features[learned], features[learned, :2], labels[learned], task=0)
    return statistics, features, labels, learned


def test_directions_that_separate_the_learned_classes_by_chance_alone_count_little() -> None:
    statistics, *_ = many_classes_of_few_images(0)
    head = fit_discriminant_head(statistics, shrinkage=1e-6, embedding_dim=40)
    lengths = np.linalg.norm(head.projection, axis=0) / np.linalg.norm(head.projection[:, 0])
    assert lengths[:3].min() > 0.8
    assert lengths[10:].mean() < 0.4


def test_weighing_directions_finds_more_of_what_was_not_seen_than_equal_weights() -> None:
    gains = []
    for seed in range(4):
        statistics, features, labels, learned = many_classes_of_few_images(seed)
        head = fit_discriminant_head(statistics, shrinkage=1e-6, embedding_dim=40)
        equal = head.projection / np.maximum(np.linalg.norm(head.projection, axis=0), 1e-12)
        recalls = []
        for projection in (head.projection, equal):
            vectors = unit_rows((features - head.centre) @ projection)
            nearest = (vectors[~learned] @ vectors[learned].T).argmax(axis=1)
            recalls.append(float((labels[learned][nearest] == labels[~learned]).mean()))
        gains.append(recalls[0] - recalls[1])
    assert min(gains) >= 0.0
    assert np.mean(gains) > 0.05


def test_with_few_classes_all_directions_count_the_same() -> None:
    statistics, _, _ = two_noisy_classes(classes=9, dimension=12)
    head = fit_discriminant_head(statistics, shrinkage=1e-9, embedding_dim=12)
    within = head.projection.T @ (statistics.scatter / statistics.total) @ head.projection
    assert np.allclose(within, np.eye(12), atol=1e-4)


def test_the_running_mean_of_ranks_is_that_of_a_slow_loop() -> None:
    values = np.random.default_rng(0).normal(size=20)
    slow = [values[max(0, i - 4) : i + 5].mean() for i in range(20)]
    assert np.allclose(_running_mean(values), slow)
    assert _running_mean(values[:0]).shape == (0,)
