"""Ask the gallery: embed query images with the live model, and judge what is found for them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from continual_dml.embedding.cohort import restore_members
from continual_dml.embedding.embedder import Embedder
from continual_dml.embedding.extract import extract_each, side_by_side
from continual_dml.embedding.precision import Compute, choose_compute
from continual_dml.ports import Artefacts
from continual_dml.settings import Settings
from continual_dml.strategies.acceptance import AcceptanceRule
from continual_dml.strategies.heads import Head
from continual_dml.strategies.state import group_name, stored_head


@dataclass(frozen=True, slots=True, eq=False)
class Searcher:
    """One generation's networks, ready to embed queries; ``rule`` judges what the nearest items say."""

    embedders: tuple[Embedder, ...]
    head: Head
    compute: Compute
    rule: AcceptanceRule

    @classmethod
    def open(cls, artefacts: Artefacts, device: str = "auto") -> Searcher:
        """Load the model of a published generation.

        Raises:
            CorruptIndex: a file differs from the manifest.
            SettingsError: the device is not there.
        """
        settings = Settings.from_dict(artefacts.config["settings"])
        compute = choose_compute(device, settings.training.precision)
        members = range(settings.model.cohort)
        models = [artefacts.read_tensors(f"{group_name('model', number)}.safetensors") for number in members]
        embedders = [
            embedder.to(compute.device).eval() for embedder in restore_members(settings.model, models)
        ]
        heads = [artefacts.read_tensors(f"{group_name('head', number)}.safetensors") for number in members]
        head = stored_head(models, heads, settings)
        rule = AcceptanceRule.from_report(artefacts.read_json("report.json"))
        return cls(tuple(embedders), head, compute, rule)

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return unit vectors (Q, D) of stored squares (Q, S, S, 3)."""
        return self.head(side_by_side(extract_each(self.embedders, pixels, self.compute)))
