"""A workspace whose last generation computes its vectors, and what its index must answer."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np

from continual_dml.ports import SilentListener
from storage.index.flat import FlatIndex
from storage.reader import WorkspaceReader
from storage.store import WorkspaceStore
from storage.summary import read_status
from storage.verification import verify
from storage.workspace import Workspace
from tests.storage.tiny_tasks import SMALL
from tests.storage.viewed_tasks import publish_gallery, vectors_of

QUIET = SilentListener()
BIRDS, CARS, MAPS = np.arange(1, 7), np.arange(8, 14), np.arange(15, 21)


def make_template(folder: Path) -> Workspace:
    """Publish birds (items 1 to 6), cars (8 to 13) with vectors, then maps (15 to 20) with views of all."""
    workspace = Workspace.create(folder / "three", SMALL, keep_generations=3)
    with WorkspaceStore(workspace) as store:
        for name in ("birds", "cars", "maps"):
            publish_gallery(store, name, folder / name, view=name == "maps")
    return workspace


def copy_of(template: Workspace, folder: Path) -> Workspace:
    """Make a workspace of its own, which shares the files that are never written again."""

    def taken(source, target):
        (os.link if "gen" in Path(source).parts else shutil.copy2)(source, target)

    shutil.copytree(template.root, folder / "three", copy_function=taken)
    return Workspace.open(folder / "three")


def explicit(born, generation):
    """The gallery of ``generation`` with its vectors."""
    ids = np.concatenate([*born.values()]).astype(np.int64)
    vectors = np.concatenate([vectors_of(own, birth, generation) for birth, own in born.items()])
    return FlatIndex.build(ids, vectors)


def check_answers(workspace, born, generation=3):
    """Every answer is the one of vectors that nobody has written."""
    expected = explicit(born, generation)
    random = np.random.default_rng(0)
    queries = random.normal(size=(30, 4)).astype(np.float32)
    queries[:20] /= np.linalg.norm(queries[:20], axis=1, keepdims=True)
    with WorkspaceReader(workspace) as reader:
        index = reader.index()
    assert len(index) == len(expected)
    for few in (1, 5, 100):
        found, best = index.search(queries, few), expected.search(queries, few)
        assert np.array_equal(found.ids, best.ids)
        np.testing.assert_allclose(found.similarities, best.similarities, rtol=0, atol=1e-6)
    chosen = np.append(expected.ids[1::2], 1000)
    found, best = (one.among(chosen).search(queries, 4) for one in (index, expected))
    assert np.array_equal(found.ids, best.ids)


def check_whole(workspace):
    assert verify(workspace, deep=True, listener=QUIET).problems == []


def files(workspace, generation):
    return {path.name: path for path in workspace.generation_dir(generation).iterdir()}


def kind_of(workspace):
    return read_status(workspace).index.kind


def change_index(workspace, kind):
    text = workspace.settings_file.read_text()
    workspace.settings_file.write_text(text.replace('index = "flat"', f'index = "{kind}"'))
    return Workspace.open(workspace.root)


def damage(path):
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.unlink()  # other generations may share the file
    path.write_bytes(bytes(content))
