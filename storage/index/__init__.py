"""Search indexes over unit vectors, each in one file. Adding one costs a module and a line in ``INDEXES``."""

from __future__ import annotations

from collections.abc import Mapping

from storage.index.approximate import HnswIndex, IvfIndex
from storage.index.faiss_flat import FaissFlatIndex
from storage.index.flat import FlatIndex
from storage.index.flat_f16 import FlatF16Index
from storage.index.ivf_pq import IvfPqIndex
from storage.index.numpy_exact import NumpyExactIndex
from storage.index.stored import FileIndex

INDEXES: Mapping[str, type[FileIndex]] = {
    "flat": FlatIndex,
    "hnsw": HnswIndex,
    "flat-f16": FlatF16Index,
    "ivf": IvfIndex,
    "ivf-pq": IvfPqIndex,
    "faiss-flat": FaissFlatIndex,
    "numpy-exact": NumpyExactIndex,
}
