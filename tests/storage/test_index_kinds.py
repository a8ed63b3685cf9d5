"""A workspace searches with the kind of index that its settings name, from the next publication on."""

from __future__ import annotations

import pytest

from continual_dml.errors import SettingsError, UnknownChoice
from storage.index import INDEXES
from storage.reader import WorkspaceReader
from storage.store import WorkspaceStore
from storage.summary import read_status
from storage.workspace import Workspace
from storage.workspace_file import INDEX_KINDS, PGVECTOR


@pytest.mark.parametrize("kind", [kind for kind in INDEX_KINDS if kind != PGVECTOR])
def test_each_kind_is_published_and_found_again(tmp_path, small_settings, publish, invariants, kind):
    workspace = Workspace.create(tmp_path / "workspace", small_settings, index=kind)
    with WorkspaceStore(workspace) as store:
        publish(store, "birds", tmp_path)
        publish(store, "cars", tmp_path)
    invariants(workspace, ["birds", "cars"])
    found = read_status(workspace).index
    recall = None if INDEXES[kind].exact else 1.0
    assert (found.kind, found.recall_at_10) == (kind, recall)


def test_the_kind_may_be_changed_for_the_generations_to_come(workspace, publish, invariants, tmp_path):
    with WorkspaceStore(workspace) as store:
        publish(store, "birds", tmp_path)
    text = workspace.settings_file.read_text()
    workspace.settings_file.write_text(text.replace('index = "flat"', 'index = "hnsw"'))
    changed = Workspace.open(workspace.root)
    with WorkspaceReader(changed) as reader:
        assert reader.artefacts.manifest.index.kind == "flat"
    with WorkspaceStore(changed) as store:
        publish(store, "cars", tmp_path)
    invariants(changed, ["birds", "cars"])
    assert read_status(changed).index.kind == "hnsw"


def test_an_unknown_kind_is_named_with_the_known_ones(tmp_path, small_settings, workspace):
    with pytest.raises(UnknownChoice, match="flat"):
        Workspace.create(tmp_path / "other", small_settings, index="flatt")
    text = workspace.settings_file.read_text()
    workspace.settings_file.write_text(text.replace('index = "flat"', 'index = "faiss"'))
    with pytest.raises(SettingsError, match="index"):
        Workspace.open(workspace.root)
