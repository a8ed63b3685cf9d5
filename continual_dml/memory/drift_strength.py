"""How strongly a drift map is held back towards the identity, judged on categories it was not fitted to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from continual_dml.memory.decompositions import thin_svd
from continual_dml.memory.discriminant_head import unit_rows

Floats = NDArray[np.float64]

GRID = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
FOLDS = 4
FEWEST_CATEGORIES = 10
MOST_ASKED = 2000
SMALLEST_VARIANCE = 1e-12
WITHOUT_A_CHOICE = 10.0
"""Strength where there is a single category, so that none can be held out: close to a mere shift."""


@dataclass(frozen=True, slots=True)
class DriftChoice:
    """Which map was chosen and by how much, all of it judged on categories that a map was not fitted to.

    ``strength``: of the map; None for the identity, where it comes closer. ``errors``: mean squared
    error of a feature at each strength that was tried; ``uncorrected``: the same without a map. ``found`` and
    ``found_uncorrected``: how often the new model's features find their category first among the features
    carried by the best map, and among those that are left as they were. What could not be judged is None.
    """

    strength: float | None
    errors: tuple[tuple[float, float], ...] = ()
    uncorrected: float | None = None
    found: float | None = None
    found_uncorrected: float | None = None

    @property
    def held_out_error(self) -> float | None:
        """Mean squared error of a held-out feature with what was chosen; None where none was held out."""
        return self.uncorrected if self.strength is None else dict(self.errors).get(self.strength)


def choose_drift_strength(
    before: NDArray[np.floating], after: NDArray[np.floating], labels: NDArray[np.int64]
) -> float:
    """Return the strength of :data:`GRID` whose maps carry held-out categories best.

    The map will carry categories that the new images do not show, so whole categories are held out: in each
    of up to four folds a map is fitted to the others, and its squared error on the held-out ones is added up.
    Deterministic.

    Args:
        before: (N, d) features by the old model.
        after: (N, d) features of the same images by the new model.
        labels: (N,) their categories.

    Source: docs/methods.md, "Drift maps".
    """
    errors = held_out_errors(before, after, labels, GRID)
    return WITHOUT_A_CHOICE if errors is None else GRID[int(np.argmin(errors))]


def choose_drift_map(
    before: NDArray[np.floating],
    after: NDArray[np.floating],
    labels: NDArray[np.int64],
    strength: float | None = None,
    asked: int | None = None,
) -> DriftChoice:
    """Choose the strength of a map as :func:`choose_drift_strength` does, or no map at all.

    There is none where the best strength carries held-out categories with a larger squared error than leaving
    their features as they were. With fewer than ten categories this is not asked: the mean of the others, one
    of so few held out, says little. How often the new model's features find their category among carried
    features is told and not judged by: most find it either way, and the few that decide it go by chance.

    Args:
        before: (N, d) features by the old model.
        after: (N, d) features of the same images by the new model.
        labels: (N,) their categories.
        strength: the only one to try; it is taken in any case. None tries all of the grid.
        asked: so many of the first rows find their category or not, among each other; None for all.
    """
    grid = GRID if strength is None else (strength,)
    old, new = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    folds = _folds(old, new, labels)
    if not folds:
        return DriftChoice(WITHOUT_A_CHOICE if strength is None else strength)
    errors = _mean_errors(folds, grid)
    best = grid[int(np.argmin(errors))]
    carried = old.copy()
    for fold in folds:
        carried[fold.rows] += fold.drift(best)
    found = _found(new[:asked], carried[:asked], labels[:asked])
    left = _found(new[:asked], old[:asked], labels[:asked])
    uncorrected = float(np.square(new - old).sum() / len(labels))
    judged = strength is None and len(np.unique(labels)) >= FEWEST_CATEGORIES
    return DriftChoice(
        None if judged and errors.min() > uncorrected else best,
        tuple(zip(grid, errors.tolist(), strict=True)),
        uncorrected,
        found,
        left,
    )


def held_out_errors(
    before: NDArray[np.floating],
    after: NDArray[np.floating],
    labels: NDArray[np.int64],
    grid: tuple[float, ...],
) -> Floats | None:
    """Return the mean squared error of a held-out feature at each strength of ``grid``, by up to four folds.

    None where there is a single category, so that none can be held out. Arguments as in
    :func:`choose_drift_strength`.
    """
    folds = _folds(np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64), labels)
    return _mean_errors(folds, grid) if folds else None


def category_folds(labels: NDArray[np.int64]) -> list[NDArray[np.bool_]]:
    """Return which rows (N,) each fold holds out; every row is held out once."""
    categories = np.unique(labels)
    folds = min(FOLDS, len(categories))
    return [np.isin(labels, categories[fold::folds]) for fold in range(folds)]


def _found(asking: Floats, searched: Floats, labels: NDArray[np.int64]) -> float:
    """Return how often the feature nearest to one of ``asking`` (N, d), its own left out, is of its category.

    By the cosine around the mean of ``asking``, on up to :data:`MOST_ASKED` rows.
    """
    rows = np.linspace(0, len(labels) - 1, min(len(labels), MOST_ASKED)).astype(np.int64)
    centre = asking[rows].mean(axis=0)
    similarities = unit_rows(asking[rows] - centre) @ unit_rows(searched[rows] - centre).T
    np.fill_diagonal(similarities, -np.inf)
    return float((labels[rows][similarities.argmax(axis=1)] == labels[rows]).mean())


@dataclass(frozen=True, slots=True, eq=False)
class _Fold:
    """A map fitted to some rows, of any strength, and the rows (N,) of whole categories held out of it.

    In the dual form: with n images the drift of the fitted ones spans at most n directions, so one singular
    value decomposition (n, d) serves all strengths. ``coordinates`` (h, r) of the h held-out rows and
    ``variances`` (r,) along these directions, ``spread`` the mean variance, ``pull`` (r, d) the drift that
    goes with each; ``shift`` (d,) of the means, ``wanted`` (h, d) the drift of the held-out rows.
    """

    rows: NDArray[np.bool_]
    coordinates: Floats
    variances: Floats
    spread: float
    pull: Floats
    shift: Floats
    wanted: Floats

    @classmethod
    def of(cls, old: Floats, new: Floats, held_out: NDArray[np.bool_]) -> _Fold:
        """Fit to all rows of ``old`` and ``new`` (N, d) but ``held_out`` (N,)."""
        mean_old, mean_new = old[~held_out].mean(axis=0), new[~held_out].mean(axis=0)
        fitted = old[~held_out] - mean_old
        drift = new[~held_out] - mean_new - fitted
        left, lengths, axes = thin_svd(fitted)
        variances = lengths**2 / len(fitted)
        return cls(
            rows=held_out,
            coordinates=(old[held_out] - mean_old) @ axes.T,
            variances=variances,
            spread=float(variances.sum() / old.shape[1]),
            pull=(left * lengths).T @ drift / len(fitted),
            shift=mean_new - mean_old,
            wanted=new[held_out] - old[held_out],
        )

    def drift(self, strength: float) -> Floats:
        """Return what a map of this strength adds to the held-out rows (h, d)."""
        ridge = strength * self.spread + SMALLEST_VARIANCE
        return self.shift + (self.coordinates / (self.variances + ridge)) @ self.pull

    def errors(self, grid: tuple[float, ...]) -> Floats:
        """Return the squared error on the held-out rows, for each strength."""
        return np.array([float(np.square(self.drift(strength) - self.wanted).sum()) for strength in grid])


def _folds(old: Floats, new: Floats, labels: NDArray[np.int64]) -> list[_Fold]:
    """Return up to four folds; none where there is a single category, so that none can be held out."""
    held_out = category_folds(labels)
    return [_Fold.of(old, new, rows) for rows in held_out] if len(held_out) > 1 else []


def _mean_errors(folds: list[_Fold], grid: tuple[float, ...]) -> Floats:
    """Return the mean squared error of a row, for each strength; every row is held out of one fold."""
    sums: Floats = np.sum([fold.errors(grid) for fold in folds], axis=0)
    return sums / len(folds[0].rows)
