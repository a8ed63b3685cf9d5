"""Items whose vectors are computed from their features, which lie in a file that is never written again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from continual_dml.errors import GalleryError
from continual_dml.memory.discriminant_head import SMALLEST_NORM
from continual_dml.memory.feature_views import FeatureView

NORM_TOLERANCE = 2.0**-20
"""How far, relatively, a norm that is kept may be from what it is the norm of."""
_ROWS, _CHECKED = 4096, 4096


@dataclass(frozen=True, slots=True, eq=False)
class ViewedItems:
    """The items of one birth generation, or some of them.

    ``ids`` (n,); ``features`` (N, F) float16; ``view`` of these; ``norms`` (n,) float32, the lengths of the
    vectors before they are normalised; ``longest``: no feature of them all is longer; ``rows`` (n,): where
    the items stand in ``features``, None where they are all of them.
    """

    ids: NDArray[np.int64]
    features: NDArray[np.float16]
    view: FeatureView
    norms: NDArray[np.float32]
    longest: float
    rows: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def doubt(self) -> float:
        """Return what rounding in float64 may change, at most, of anything before it is normalised.

        Eight times the bound for one inner product, since a similarity has several of them in it.
        """
        dimension, width = self.view.matrix.shape
        reach = np.linalg.norm(self.view.matrix) * self.longest + np.linalg.norm(self.view.offset)
        return float(8 * (width + dimension + 16) * 2.0**-53 * reach)

    def places(self, start: int, stop: int) -> slice | NDArray[np.int64]:
        """Return where in the features a run of items stands."""
        return slice(start, stop) if self.rows is None else self.rows[start:stop]

    def features_of(self, numbers: NDArray[np.int64]) -> NDArray[np.float16]:
        """Return the features (m, F) of items by their numbers (m,) from 0 on."""
        return self.features[numbers if self.rows is None else self.rows[numbers]]

    def among(self, ids: NDArray[np.int64]) -> ViewedItems:
        """Return those of the items that are among ``ids``."""
        chosen = np.flatnonzero(np.isin(self.ids, ids))
        rows = chosen if self.rows is None else self.rows[chosen]
        return replace(self, ids=self.ids[chosen], norms=self.norms[chosen], rows=rows)


def longest_of(features: NDArray[np.float16]) -> float:
    """Return a length that no feature of ``features`` (n, F) exceeds, and one of them almost has."""
    most = 0.0
    for start in range(0, len(features), _ROWS):
        wide = features[start : start + _ROWS].astype(np.float32)
        most = max(most, float(np.einsum("nf,nf->n", wide, wide).max(initial=0.0)))
    return float(np.sqrt(most)) * margin(features.shape[1])


def margin(width: int) -> float:
    """Return by how much the length of ``width`` numbers in float32 may be too small, as a factor."""
    return 1 + (width + 16) * 2.0**-23


def check_shapes(parts: Sequence[ViewedItems]) -> None:
    """Accept parts whose arrays fit together and whose features are all of one kind.

    Raises:
        GalleryError: they do not.
    """
    shapes = {part.view.matrix.shape for part in parts}
    if len(shapes) != 1:
        raise GalleryError(
            f"views of {len(shapes)} shapes in one index: this is a defect of cdml, please report it"
        )
    dimension, width = next(iter(shapes))
    for part in parts:
        fits = (
            part.ids.dtype == np.int64
            and part.features.dtype == np.float16
            and part.norms.dtype == np.float32
            and part.view.matrix.dtype == part.view.offset.dtype == np.float64
            and part.features.shape == (len(part.ids), width)
            and part.norms.shape == part.ids.shape == (len(part.ids),)
            and part.view.offset.shape == (dimension,)
        )
        if not fits:
            raise GalleryError(
                f"features {part.features.shape}, ids {part.ids.shape}, norms {part.norms.shape} and a map "
                f"{part.view.matrix.shape} do not fit together: this is a defect of cdml, please report it"
            )


def check_values(parts: Sequence[ViewedItems]) -> None:
    """Accept distinct ids, views that are finite, and norms that a vector can be divided by.

    Raises:
        GalleryError: any of that is not so.
    """
    ids = np.sort(np.concatenate([part.ids for part in parts]))
    if (ids[1:] == ids[:-1]).any():
        raise GalleryError("an id stands twice in the index: this is a defect of cdml, please report it")
    for part in parts:
        finite = np.isfinite(part.view.matrix).all() and np.isfinite(part.view.offset).all()
        if not (finite and np.isfinite(part.longest) and part.longest >= 0.0):
            raise GalleryError(
                "a map or a feature is not finite: embed the gallery again with --refresh reembed"
            )
        wrong = ~((part.norms >= SMALLEST_NORM) & (part.norms < np.inf))  # NaN counts as wrong
        if wrong.any():
            raise GalleryError(
                f"{int(wrong.sum())} vectors have no length that can be made 1 (first: item "
                f"{int(part.ids[wrong][0])}): embed the gallery again with --refresh reembed"
            )


def check_norms(parts: Sequence[ViewedItems]) -> None:
    """Compute norms and lengths of some thousand items, evenly spread, and compare them with the kept ones.

    Raises:
        GalleryError: one differs, for instance because a feature is not finite.
    """
    step = -(-sum(len(part) for part in parts) // _CHECKED) or 1
    for part in parts:
        chosen = np.arange(0, len(part), step)
        features = part.features_of(chosen)
        expected = part.view.norms(features).astype(np.float64)
        allowed = NORM_TOLERANCE / 2 * expected + part.doubt / 4
        wrong = ~(np.abs(part.norms[chosen] - expected) <= allowed)
        if wrong.any() or not longest_of(features) <= part.longest * margin(features.shape[1]):
            item = int(part.ids[chosen[np.argmax(wrong)]])
            raise GalleryError(f"the norms are not those of the features, as of item {item}")
