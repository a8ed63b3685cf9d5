"""What another machine makes of images with the live model of a workspace, as a file to import."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from continual_dml.embedding.extract import extract_each, side_by_side
from continual_dml.embedding.precision import choose_compute
from continual_dml.interchange import ModelCard
from continual_dml.workflows.export_model import card_of
from continual_dml.workflows.search import Searcher
from storage.reader import WorkspaceReader
from storage.workspace import Workspace
from streams.image_reader import ThreadedImageReader


@dataclass
class Elsewhere:
    """What another machine makes of images with the live model of a workspace; columns may be changed."""

    columns: dict[str, np.ndarray]
    folder: Path

    def write(self, name: str = "arrived.npz", **changes: object) -> Path:
        columns = {**self.columns, **changes}
        np.savez(self.folder / name, **{name: one for name, one in columns.items() if one is not None})
        return self.folder / name


def card(workspace: Path) -> ModelCard:
    with WorkspaceReader(Workspace.open(workspace)) as reader:
        searcher = Searcher.open(reader.artefacts, "cpu")
        return card_of(searcher.embedders, reader.artefacts, reader.index().dimension)


def embedded(workspace: Path, images: list[Path], folder: Path) -> Elsewhere:
    opened = Workspace.open(workspace)
    side = opened.settings.model.stored_side_pixels
    pixels, _ = ThreadedImageReader(side, opened.settings.streams).read([str(path) for path in images])
    with WorkspaceReader(opened) as reader:
        searcher = Searcher.open(reader.artefacts, "cpu")
        features = side_by_side(extract_each(searcher.embedders, pixels, choose_compute("cpu", "fp32")))
        embedding = searcher.head(features)
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in images]
    columns = {
        "cdml": np.array(card(workspace).as_text()),
        "path": np.array([str(path) for path in images]),
        "category": np.array([path.parent.name for path in images]),
        "content_hash": np.array(hashes),
        "feature": features,
        "embedding": embedding,
    }
    return Elsewhere(columns, folder)
