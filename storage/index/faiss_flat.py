"""Exact inner-product search in faiss's own flat format, as earlier generations were published."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.index.faiss_backed import FaissIndex


class FaissFlatIndex(FaissIndex):
    """Compares with every vector; new generations take ``flat``, which opens without being read."""

    @classmethod
    def _made(cls, vectors: NDArray[np.float32]) -> Any:  # noqa: ANN401 - faiss has no types
        import faiss

        return faiss.IndexFlatIP(vectors.shape[1])

    @classmethod
    def _is_own(cls, index: Any) -> bool:  # noqa: ANN401
        import faiss

        return isinstance(index, faiss.IndexFlatIP)
