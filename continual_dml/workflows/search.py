"""Ask the gallery: embed query images with the live model and find their neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from continual_dml.embedding.embedder import Embedder, restore_embedder
from continual_dml.embedding.extract import extract
from continual_dml.embedding.precision import Compute, choose_compute
from continual_dml.memory.discriminant_head import DiscriminantHead
from continual_dml.ports import Artefacts, VectorIndex
from continual_dml.records import Neighbours
from continual_dml.settings import Settings
from continual_dml.strategies.state import Head, TrainedHead


@dataclass(frozen=True, slots=True, eq=False)
class Searcher:
    """One generation's model and index, ready to be asked."""

    embedder: Embedder
    head: Head
    index: VectorIndex
    compute: Compute

    @classmethod
    def open(cls, artefacts: Artefacts, index: VectorIndex, device: str = "auto") -> Searcher:
        """Load the model of a published generation.

        Raises:
            CorruptIndex: a file differs from the manifest.
            SettingsError: the device is not there.
        """
        settings = Settings.from_dict(artefacts.config["settings"])
        compute = choose_compute(device, settings.training.precision)
        weights = artefacts.read_tensors("model.safetensors")
        embedder = restore_embedder(settings.model, weights).to(compute.device).eval()
        head: Head
        if settings.training.uses_statistics_head:
            arrays = artefacts.read_tensors("head.safetensors")
            head = DiscriminantHead(arrays["projection"], arrays["centre"])
        else:
            head = TrainedHead(weights["projection.weight"], settings.model.takes_square_root)
        return cls(embedder, head, index, compute)

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return unit vectors (Q, D) of stored squares (Q, S, S, 3)."""
        return self.head(extract(self.embedder, pixels, self.compute).features)

    def search(self, pixels: NDArray[np.uint8], k: int) -> Neighbours:
        """Return the ``k`` nearest gallery items of each query image (Q, S, S, 3)."""
        return self.index.search(self.embed(pixels), k)
