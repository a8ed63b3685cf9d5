from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from continual_dml.errors import CatalogError
from storage.store import WorkspaceStore
from storage.summary import GalleryCounts, QueryCounts, read_report, read_status, read_tasks
from storage.workspace import Workspace

HEAVY = (
    "numpy",
    "torch",
    "faiss",
    "sqlalchemy",
    "alembic",
    "avalanche",
    "safetensors",
    "filelock",
    "tomli_w",
)


def test_an_empty_workspace_is_all_zeros(workspace):
    status = read_status(workspace)
    assert (status.generation, status.tasks, status.categories, status.quarantined) == (None, 0, 0, 0)
    assert (status.gallery, status.queries) == (GalleryCounts(), QueryCounts())
    assert status.bytes_on_disk > 0
    assert read_tasks(workspace) == []
    with pytest.raises(CatalogError, match="cdml ingest-task"):
        read_report(workspace)


def test_the_numbers_of_two_tasks_add_up(workspace, publish, tmp_path):
    with WorkspaceStore(workspace) as store:
        publish(store, "first", tmp_path)
        publish(store, "second", tmp_path)
        tasks = store.tasks()
    for path in tmp_path.glob("first-[01].png"):
        path.unlink()
    workspace.query_copy(_query_hash(workspace)).unlink()
    status = read_status(workspace)
    assert status.generation.generation_id == 2
    assert (status.tasks, status.categories, status.quarantined) == (2, 2, 2)
    assert status.gallery == GalleryCounts(6, 4, 6, 6, fresh=3, projected=3, stale=0)
    assert status.queries == QueryCounts(2, 1)
    assert read_tasks(workspace) == tasks
    assert read_report(workspace) == {"generation": 2, "average": None}


def _query_hash(workspace):
    return next(path.name for path in workspace.queries_dir.rglob("*") if path.is_file())


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 2)), min_size=1, max_size=3))
def test_counts_add_up_for_any_stream_of_tasks(tmp_path_factory, publish, small_settings, tasks):
    root = tmp_path_factory.mktemp("counts")
    workspace = Workspace.create(root / "workspace", small_settings)
    with WorkspaceStore(workspace) as store:
        for number, (gallery, queries) in enumerate(tasks):
            publish(store, f"task{number}", root / "images", gallery, queries)
    status = read_status(workspace)
    counts = status.gallery
    assert (
        counts.catalogued == counts.on_disk == counts.embedded == counts.indexed == sum(g for g, _ in tasks)
    )
    assert counts.catalogued == counts.fresh + counts.projected + counts.stale
    assert status.queries == QueryCounts(sum(q for _, q in tasks), sum(q for _, q in tasks))
    assert [(task.train_images, task.query_images) for task in read_tasks(workspace)] == tasks


def test_a_hard_linked_file_is_counted_once(workspace, publish, tmp_path):
    with WorkspaceStore(workspace, kept_generations=2) as store:
        publish(store, "first", tmp_path)
        publish(store, "second", tmp_path)
    total = sum(path.stat().st_size for path in workspace.root.rglob("*") if path.is_file())
    shared = ("initial.safetensors", "catalogue-00000001.jsonl")
    twice = sum((workspace.generation_dir(1) / name).stat().st_size for name in shared)
    assert read_status(workspace).bytes_on_disk == total - twice


def test_status_tasks_and_report_import_nothing_heavy(workspace, publish, tmp_path):
    with WorkspaceStore(workspace) as store:
        publish(store, "first", tmp_path)
    code = (
        "import sys; from pathlib import Path; from storage.workspace import Workspace\n"
        "from storage.summary import read_report, read_status, read_tasks\n"
        "w = Workspace.open(Path(sys.argv[1])); read_status(w); read_tasks(w); read_report(w)\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, str(workspace.root)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.strip() == "[]"
