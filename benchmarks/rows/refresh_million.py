"""A million stored items brought into the space of a model that moved, against embedding their images anew.

Ours is the work that takes the place of embedding: maps are written, every feature is carried by them to find
the lengths that a search needs, and the files are staged. What a command does besides (it starts, asks
held-out photos for its report, tests and publishes) is in the table of ``benchmarks.large_refresh``.
Features are synthetic, around 2,000 centres; what carrying costs depends on their number and shape alone.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from benchmarks.peer_photos import PhotoFiles, loader, usual_transform
from benchmarks.photos import PHOTOS, shared_file
from benchmarks.side_by_side.rows import Answers, Arm, Row, Sizes, Target, Work
from benchmarks.workspace_bytes import own_bytes

ANEW = "DataLoader, resnet18"
MOST_MB = 50.0


def ours(folder: Path, sizes: Sizes) -> Work:
    """Carry all items of a workspace forward and write what follows, in a draft that is not published."""
    import numpy as np

    from benchmarks.view_index import CENTRES, first_generation, moved_model
    from continual_dml.settings import Settings
    from continual_dml.workflows.gallery_files import items_file, write_views
    from storage.store import WorkspaceStore
    from storage.workspace import Workspace

    random = np.random.default_rng(2)
    centres = np.abs(random.standard_normal((CENTRES, sizes["width"]), dtype=np.float32))
    views = moved_model(sizes["width"], sizes["dimension"], centres)
    workspace = Workspace.create(folder / f"workspace-{os.getpid()}", Settings(), keep_generations=3)
    store = WorkspaceStore(workspace).__enter__()
    first_generation(store, sizes["items"], centres, views)
    drafts: list[Any] = []

    def before() -> None:
        for draft in drafts:
            draft.abandon()
        drafts[:] = [store.begin("refresh")]
        for birth in views:
            drafts[0].inherit(items_file(birth))

    def run() -> dict[str, Any]:
        write_views(drafts[0], views)
        return {"items": [sizes["items"]]}

    def figures() -> dict[str, float]:
        staging = workspace.staging_dir(drafts[0].generation_id)
        return {"MB_written": own_bytes(staging) / 1e6}

    return Work(run, before=before, amount=sizes["items"], figures=figures)


def embedded_anew(folder: Path, sizes: Sizes) -> Work:
    """Photos through a network of the same width, as one writes it: two workers, batches of 64."""
    import torch

    from continual_dml.embedding.torchvision_guard import import_torchvision

    torchvision = import_torchvision()
    paths = sorted(str(path) for path in (folder / "photos").rglob("*.jpg"))[: sizes["photos"]]
    photos = loader(PhotoFiles(paths, usual_transform(256, 224)), best=False)
    network = torchvision.models.resnet18(weights=None)
    network.fc = torch.nn.Identity()
    network.eval()

    def run() -> dict[str, Any]:
        with torch.inference_mode():
            features = torch.cat([network(batch) for batch in photos])
        if features.shape != (len(paths), sizes["width"]):
            sys.exit(f"features of shape {tuple(features.shape)}")
        return {"items": [len(paths)]}

    return Work(run, amount=len(paths))


def prepare(folder: Path, sizes: Sizes) -> None:
    """Unpack photos to embed."""
    import zipfile

    del sizes
    with zipfile.ZipFile(shared_file(f"data/{PHOTOS}")) as archive:
        archive.extractall(folder / "photos")


def both_did_all(ours: Answers, theirs: Answers) -> str | None:
    """Vectors carried are not vectors embedded: how near they are is what ``refresh_estimators`` measures."""
    return None if ours["items"].all() and theirs["items"].all() else "nothing was done"


ROWS = (
    Row(
        name="refresh_million",
        title="refresh of 1,000,000 stored items, without test and publication",
        unit="items",
        arms=(Arm("ours", f"{__name__}:ours"), Arm(ANEW, f"{__name__}:embedded_anew", peer=True)),
        targets=(
            Target(against=ANEW, at_least=1000),
            Target(figure="MB_written", at_most=MOST_MB),
        ),
        same=both_did_all,
        prepare=prepare,
        sizes={"items": 1_000_000, "width": 512, "dimension": 128, "photos": 512},
        quick={"items": 100_000, "photos": 64},
        rounds=5,
        again=False,
    ),
)
