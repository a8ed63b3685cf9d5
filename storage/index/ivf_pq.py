"""Approximate search for galleries larger than the memory: a quarter of a byte per number is compared."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from continual_dml.errors import GalleryError
from storage.index.approximate import cells_for, probes_for
from storage.index.flat import FlatIndex
from storage.index.refined import RefinedIndex

_NUMBERS_PER_CODE = 4
_CODE_BITS = 8
_LEAST_CANDIDATES, _CANDIDATES_EACH = 200, 10


class IvfPqIndex(RefinedIndex):
    """Product-quantised vectors in cells around k-means centres; the best candidates are compared exactly."""

    exact = False

    @classmethod
    def _encoded(cls, vectors: NDArray[np.float32]) -> NDArray[np.uint8]:
        import faiss

        count, dimension = vectors.shape
        pieces = next(n for n in range(max(1, dimension // _NUMBERS_PER_CODE), 0, -1) if dimension % n == 0)
        index: Any = faiss.IndexIVFPQ(
            faiss.IndexFlatIP(dimension), dimension, cells_for(count), pieces, _CODE_BITS,
            faiss.METRIC_INNER_PRODUCT,
        )  # fmt: skip
        for clustering in (index.cp, index.pq.cp):
            clustering.min_points_per_centroid = 1  # else faiss writes warnings of its own
        examples = vectors if count else np.eye(1, dimension, dtype=np.float32)
        enough = max(len(examples), 1 << _CODE_BITS)
        index.train(np.resize(examples, (enough, dimension)))  # repeated where there are too few
        index.add(vectors)
        document: NDArray[np.uint8] = faiss.serialize_index(index)
        return document

    @classmethod
    def _opened(cls, codes: NDArray[Any], vectors: NDArray[np.float32]) -> Any:  # noqa: ANN401
        import faiss

        index: Any = faiss.deserialize_index(np.ascontiguousarray(codes))
        if not isinstance(index, faiss.IndexIVFPQ) or (index.ntotal, index.d) != vectors.shape:
            raise GalleryError("its codes are not those of its vectors")
        return index

    def _nearest(
        self, queries: NDArray[np.float32], fetched: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        import faiss

        width = min(len(self), max(_LEAST_CANDIDATES, _CANDIDATES_EACH * fetched))
        cells: Any = faiss.SearchParametersIVF(nprobe=probes_for(self._coarse.nlist))  # type: ignore[call-arg]
        similarities, rows, _ = self._candidates(queries, fetched, width, cells)
        ids = self._ids[rows]
        short = rows.min(axis=1) < 0  # the cells that were looked at hold fewer than are asked for
        if short.any():
            exact = FlatIndex(self._ids, self._vectors).search(queries[short], fetched)
            similarities[short], ids[short] = exact.similarities, exact.ids
        return similarities, ids
