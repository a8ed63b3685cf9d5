"""A graph that is slow to build stays when a few of its items go, and those are never answered with."""

from __future__ import annotations

import numpy as np
import pytest

from continual_dml.errors import CorruptIndex
from storage.index_files import REMOVED_FILE
from storage.reader import WorkspaceReader
from storage.store import WorkspaceStore
from storage.workspace import Workspace
from tests.storage.tiny_tasks import SMALL, delete_images, on_circle

GRAPH = "index.faiss"


@pytest.fixture
def graph(tmp_path, publish):
    """A workspace with items 1 to 20 in a graph."""
    workspace = Workspace.create(tmp_path / "graph", SMALL, index="hnsw", keep_generations=3)
    with WorkspaceStore(workspace) as store:
        publish(store, "birds", tmp_path / "birds", gallery=20)
    return workspace


def delete(workspace, item_ids, *, purge=False):
    with WorkspaceStore(workspace) as store:
        return delete_images(store, item_ids, purge=purge)


def files_of(workspace, generation):
    return {path.name: path for path in workspace.generation_dir(generation.generation_id).iterdir()}


def answers(workspace, k=20):
    with WorkspaceReader(workspace) as reader:
        return reader.index().search(on_circle(np.array([2])), k).ids[0].tolist()


def test_the_graph_of_the_parent_is_taken_over_and_what_is_gone_is_not_answered(graph):
    first = delete(graph, [2, 4])
    second = delete(graph, [3])
    directory = graph.generation_dir
    assert (directory(1) / GRAPH).stat().st_ino == (directory(second.generation_id) / GRAPH).stat().st_ino
    assert answers(graph, 4) == [1, 5, 6, 7]
    assert sorted(answers(graph, 50)) == sorted(set(range(1, 21)) - {2, 3, 4})
    with WorkspaceReader(graph) as reader:
        entry = reader.artefacts.manifest.index
    assert (entry.items, entry.recall_at_10) == (17, 1.0)
    with WorkspaceStore(graph) as store:
        store.rollback(first.generation_id)
    assert answers(graph, 3) == [1, 3, 5]


def test_the_graph_is_built_anew_where_much_of_it_is_gone(graph):
    kept = delete(graph, [1, 2, 3, 4])
    assert REMOVED_FILE in files_of(graph, kept)
    anew = delete(graph, [5])
    assert REMOVED_FILE not in files_of(graph, anew)
    assert sorted(answers(graph)) == list(range(6, 21))


def test_a_purge_leaves_no_vector_of_what_was_deleted_before_either(graph):
    before, now = on_circle(np.array([2])).tobytes(), on_circle(np.array([4])).tobytes()
    kept = delete(graph, [2])
    assert before in files_of(graph, kept)[GRAPH].read_bytes()
    delete(graph, [4], purge=True)
    content = b"".join(path.read_bytes() for path in graph.root.rglob("*") if path.is_file())
    assert before not in content
    assert now not in content


def test_the_next_task_builds_a_graph_of_its_own(graph, publish, tmp_path):
    delete(graph, [2])
    with WorkspaceStore(graph) as store:
        found = files_of(graph, publish(store, "cars", tmp_path / "cars"))
    assert REMOVED_FILE not in found
    assert on_circle(np.array([2])).tobytes() not in found[GRAPH].read_bytes()


@pytest.mark.parametrize("harm", [lambda path: path.unlink(), lambda path: path.write_bytes(b"x")])
def test_a_list_of_what_is_gone_that_is_damaged_is_noticed(graph, harm):
    harm(files_of(graph, delete(graph, [2]))[REMOVED_FILE])
    with pytest.raises(CorruptIndex, match=f"{REMOVED_FILE}|is missing"):
        answers(graph)


def test_another_kind_is_built_where_the_settings_ask_for_one(graph):
    text = graph.settings_file.read_text()
    graph.settings_file.write_text(text.replace('index = "hnsw"', 'index = "flat"'))
    found = files_of(graph, delete(Workspace.open(graph.root), [2]))
    assert GRAPH not in found
    assert REMOVED_FILE not in found
