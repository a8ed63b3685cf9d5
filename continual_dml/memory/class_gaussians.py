"""Each class as a Gaussian: how far features lie from it, how likely they are, and new ones drawn from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from continual_dml.errors import DimensionMismatch, UnknownChoice
from continual_dml.memory.class_factors import ClassFactors
from continual_dml.memory.class_statistics import ClassStatistics
from continual_dml.settings.checks import between

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

PRIOR_IMAGES = 100.0
ISOTROPIC_IMAGES = 200.0
BLOCK_NUMBERS = 1 << 24


@dataclass(frozen=True, slots=True, eq=False)
class ClassGaussians:
    """Gaussians of C classes; :meth:`from_statistics` makes them.

    ::

        Sigma_c = (k W + L_c'L_c + rest_c W / tr W) / (k + n_c - 1) = s_c W + B_c'B_c
        W = (S + h tr(S) / ((n - C) F) I) / (n - C + h)

    S is the scatter within all classes and n their images; L_c and rest_c are the class's own scatter.
    Sigma_c is what to expect of the covariance after n_c images where, before any, W was expected with the
    weight of k images (a conjugate, inverse Wishart prior): a class of one image has the shared covariance, a
    class of many its own. W comes about in the same way from an isotropic one with the weight of h images: as
    long as there are fewer images than dimensions, S alone is singular.

    ``class_ids``, ``counts`` (C,): category ids and images; ``means`` (C, F); ``factors``: L and rest;
    ``weights``, ``scales`` (C,): k + n_c - 1 and s_c; ``log_determinants`` (C,): of Sigma_c; ``shared``: W;
    ``whitened_means`` (C, F), ``reducers`` (sum of ranks, F) and ``origins`` (sum of ranks,): in coordinates
    where W is the identity, the means, K_c of :meth:`squared_distances`, and K_c times the mean.

    Source: Friedman 1989, "Regularized Discriminant Analysis" (the two shrinkages); Gelman et al., "Bayesian
    Data Analysis" (the conjugate prior); docs/methods.md, "Statistics"; docs/adr/0023.

    >>> from continual_dml.memory.class_statistics import measure_classes
    >>> points, labels = np.array([[-1.0], [1.0], [9.0], [11.0]]), np.array([3, 3, 7, 7])
    >>> gaussians = ClassGaussians.from_statistics(measure_classes(points, points, labels, task=0))
    >>> gaussians.squared_distances(np.array([[2.0]])).round(6).tolist()  # variance 2: 2^2 / 2 and 8^2 / 2
    [[2.0, 32.0]]
    """

    class_ids: Ints
    counts: Ints
    means: Floats
    factors: ClassFactors
    weights: Floats
    scales: Floats
    log_determinants: Floats
    shared: SharedCovariance
    whitened_means: Floats
    reducers: NDArray[np.float32]
    origins: NDArray[np.float32]

    @classmethod
    def from_statistics(
        cls,
        statistics: ClassStatistics,
        *,
        prior_images: float = PRIOR_IMAGES,
        isotropic_images: float = ISOTROPIC_IMAGES,
    ) -> ClassGaussians:
        """Make the Gaussians of all classes.

        Args:
            statistics: in the space of the features that will be asked about.
            prior_images: k, how many images of a class the shared covariance is worth; more than 0.
            isotropic_images: h, how many images in all an isotropic covariance is worth; more than 0.

        Raises:
            SettingsError: k or h is not more than 0.
        """
        between("prior-images", prior_images, 1e-6, 1e12)
        between("isotropic-images", isotropic_images, 1e-6, 1e12)
        shared = SharedCovariance.of(statistics, isotropic_images)
        factors = statistics.factors
        weights = prior_images + statistics.counts.astype(np.float64) - 1.0
        scales = (prior_images + factors.rests / shared.trace) / weights
        whitened_means = shared.whitened(statistics.means)
        reducers, origins, log_determinants = _reduced(factors, weights, scales, shared, whitened_means)
        return cls(
            class_ids=statistics.class_ids,
            counts=statistics.counts,
            means=statistics.means,
            factors=factors,
            weights=weights,
            scales=scales,
            log_determinants=log_determinants,
            shared=shared,
            whitened_means=whitened_means,
            reducers=reducers,
            origins=origins,
        )

    def squared_distances(self, features: NDArray[np.floating]) -> Floats:
        """Return the squared Mahalanobis distance (N, C) of each feature from each class.

        With z = W^-1/2 (x - m_c) and B in the same coordinates, by the identity of Woodbury::

            (x - m_c)' Sigma_c^-1 (x - m_c) = (|z|^2 - |K_c z|^2) / s_c        K_c'K_c = B'(s_c I + B B')^-1 B

        which takes r_c + 1 products of F numbers for a feature and a class instead of F. About F for an image
        that the class was measured on; F (1 + 1/n_c) for a new one of the class, because the mean is that of
        so few.

        Args:
            features: (N, F) stored features by the model that the statistics are of.

        Raises:
            DimensionMismatch: they have another dimension.
        """
        dimension = self.means.shape[1]
        if features.ndim != 2 or features.shape[1] != dimension:
            raise DimensionMismatch(
                f"features of shape {features.shape} were asked about, but the classes have {dimension} "
                "dimensions; give stored features of the same model, shape (N, F)"
            )
        distances = np.empty((len(features), len(self.class_ids)))
        owned = np.flatnonzero(self.factors.ranks)
        firsts = (np.cumsum(self.factors.ranks) - self.factors.ranks)[owned]
        squares = np.square(self.whitened_means).sum(axis=1)
        step = max(1, BLOCK_NUMBERS // max(len(self.reducers), len(self.class_ids), 1))
        for start in range(0, len(features), step):
            rows = self.shared.whitened(features[start : start + step])
            block = np.square(rows).sum(axis=1)[:, None] + squares - 2 * rows @ self.whitened_means.T
            if len(owned):
                along = rows.astype(np.float32) @ self.reducers.T - self.origins
                block[:, owned] -= np.add.reduceat(np.square(along), firsts, axis=1)
            distances[start : start + step] = np.maximum(block, 0.0) / self.scales
        return distances

    def log_likelihoods(self, features: NDArray[np.floating]) -> Floats:
        """Return the logarithm of each class's density (N, C) at ``features`` (N, F); raises as distances."""
        constant = self.means.shape[1] * np.log(2 * np.pi)
        densities: Floats = -(self.squared_distances(features) + self.log_determinants + constant) / 2
        return densities

    def sample(self, class_id: int, count: int, random: np.random.Generator) -> Floats:
        """Draw ``count`` features (count, F) of a class.

        Args:
            class_id: global category id.
            count: how many.
            random: where chance comes from.

        Raises:
            UnknownChoice: there is no such class.
        """
        found = np.flatnonzero(self.class_ids == class_id)
        if not len(found):
            raise UnknownChoice("category id", str(class_id), map(str, self.class_ids.tolist()))
        position = int(found[0])
        rows = self.factors.of_class(position) / np.sqrt(self.weights[position])
        around = self.shared.coloured(random.standard_normal((count, self.means.shape[1])))
        own = random.standard_normal((count, len(rows))) @ rows
        drawn: Floats = self.means[position] + np.sqrt(self.scales[position]) * around + own
        return drawn


@dataclass(frozen=True, slots=True, eq=False)
class SharedCovariance:
    """W as ``variances`` (F,) along ``axes`` (F, F), its columns; ``centre`` (F,): of the class means."""

    variances: Floats
    axes: Floats
    centre: Floats

    @classmethod
    def of(cls, statistics: ClassStatistics, isotropic_images: float) -> SharedCovariance:
        """Return the shared covariance, pulled towards an isotropic one with the weight of so many images.

        Where no class has two images, nothing is known of the spread within classes, and the isotropic one
        takes that of the class means: distances are then finite and compare classes by their means.
        """
        freedom = statistics.total - len(statistics.counts)
        squares, axes = np.linalg.eigh(statistics.scatter)
        squares = np.maximum(squares, 0.0)
        centre = statistics.means.mean(axis=0)
        usual = squares.mean() / max(freedom, 1)
        usual = usual or np.square(statistics.means - centre).mean() or 1.0
        return cls((squares + isotropic_images * usual) / (freedom + isotropic_images), axes, centre)

    @property
    def trace(self) -> float:
        """Sum of the variances."""
        return float(self.variances.sum())

    @property
    def log_determinant(self) -> float:
        """Logarithm of the determinant."""
        return float(np.log(self.variances).sum())

    def whitened(self, points: NDArray[np.floating]) -> Floats:
        """Return points (N, F) in coordinates where this covariance is the identity and ``centre`` is 0."""
        return self.whitened_directions(np.asarray(points, dtype=np.float64) - self.centre)

    def whitened_directions(self, directions: NDArray[np.floating]) -> Floats:
        """Return differences of points (N, F) in these coordinates."""
        return directions @ self.axes / np.sqrt(self.variances)

    def coloured(self, directions: Floats) -> Floats:
        """Return differences (N, F) given in these coordinates in those of the features."""
        return (directions * np.sqrt(self.variances)) @ self.axes.T


def _reduced(
    factors: ClassFactors, weights: Floats, scales: Floats, shared: SharedCovariance, means: Floats
) -> tuple[NDArray[np.float32], NDArray[np.float32], Floats]:
    """Return K_c of all classes (sum of ranks, F), K_c times the whitened ``means``, and log |Sigma_c| (C,).

    Classes of one rank are computed together: K = chol(s I + B B')^-1 B, and det(s I + B'B) =
    s^(F - r) det(s I + B B').
    """
    dimension = factors.directions.shape[1]
    reducers = np.empty(factors.directions.shape, dtype=np.float32)
    origins = np.empty(len(reducers), dtype=np.float32)
    log_determinants = shared.log_determinant + dimension * np.log(scales)
    firsts = np.cumsum(factors.ranks) - factors.ranks
    for rank in np.unique(factors.ranks[factors.ranks > 0]):
        alike = np.flatnonzero(factors.ranks == rank)
        step = max(1, BLOCK_NUMBERS // int(rank * dimension))
        for start in range(0, len(alike), step):
            some = alike[start : start + step]
            places = firsts[some][:, None] + np.arange(rank)
            flat = shared.whitened_directions(factors.rows(places.ravel()))
            own = flat.reshape(*places.shape, dimension) / np.sqrt(weights[some])[:, None, None]
            inner = own @ own.transpose(0, 2, 1) + scales[some][:, None, None] * np.eye(rank)
            lower = np.linalg.cholesky(inner)
            solved = np.linalg.solve(lower, own)
            reducers[places], origins[places] = solved, (solved @ means[some][:, :, None])[:, :, 0]
            roots = np.log(np.diagonal(lower, axis1=1, axis2=2)).sum(axis=1)
            log_determinants[some] += 2 * roots - rank * np.log(scales[some])
    return reducers, origins, log_determinants
