"""Normalised mutual information: do clusters of the embedding coincide with the categories?

Source: Song, Xiang, Jegelka, Savarese 2016, "Deep Metric Learning via Lifted Structured Feature Embedding"
(arXiv 1511.06452), section 5: k-means with as many clusters as categories, then NMI.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from continual_dml.errors import DimensionMismatch, GalleryError

if TYPE_CHECKING:
    from sklearn.cluster import KMeans, MiniBatchKMeans

MOST_FOR_LLOYD = 20_000
STARTS = 3
BATCH = 4096


def normalised_mutual_information(
    vectors: NDArray[np.float32], labels: NDArray[np.int64], seed: int
) -> float:
    """Cluster the vectors into as many clusters as there are categories and compare the two partitions.

    ::

        NMI = 2 I(clusters; categories) / (H(clusters) + H(categories))

    Up to 20,000 vectors scikit-learn's ``KMeans`` clusters them (k-means++, the best of 3 starts), beyond
    that its ``MiniBatchKMeans`` (one start from randomly chosen vectors, because with thousands of categories
    k-means++ alone would take longer than the clustering). The two find different clusters: compare only
    numbers of the same set.

    Args:
        vectors: (N, D) unit vectors; other lengths are clustered as they are.
        labels: (N,) category ids.
        seed: of the clustering.

    Returns:
        Between 0 (independent) and 1 (the same partition); 1 where there is one category only.

    Raises:
        DimensionMismatch: not one label per vector.
        GalleryError: no vector, or one that is not finite.

    >>> corners = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], dtype=np.float32)
    >>> round(normalised_mutual_information(corners, np.array([4, 4, 9, 9]), seed=0), 6)
    1.0
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.metrics import normalized_mutual_info_score

    if vectors.ndim != 2 or labels.shape != vectors.shape[:1]:
        raise DimensionMismatch(
            f"cannot cluster vectors of shape {vectors.shape} with labels of shape {labels.shape}; "
            "give (N, D) vectors and one label for each"
        )
    if not len(vectors) or not np.isfinite(vectors).all():
        raise GalleryError("cannot cluster: no vector, or one that is not finite; embed the images again")
    with warnings.catch_warnings():
        # Fewer distinct vectors than categories (a collapsed embedding) is a result, not a fault.
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = _clustering(len(vectors), len(np.unique(labels)), seed).fit_predict(vectors)
    return float(normalized_mutual_info_score(labels, found))


def _clustering(count: int, clusters: int, seed: int) -> KMeans | MiniBatchKMeans:
    from sklearn.cluster import KMeans, MiniBatchKMeans

    start = seed % 2**32  # what scikit-learn accepts
    if count <= MOST_FOR_LLOYD:
        return KMeans(clusters, n_init=STARTS, random_state=start)
    return MiniBatchKMeans(clusters, init="random", n_init=1, batch_size=BATCH, random_state=start)
