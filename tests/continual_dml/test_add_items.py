"""Images that are added without learning: found at once, and carried over by the next task as any others."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from continual_dml.embedding.cohort import restore_members
from continual_dml.embedding.extract import extract
from continual_dml.embedding.precision import choose_compute
from continual_dml.errors import CatalogError, SettingsError, WorkspaceError
from continual_dml.ports import SilentListener
from continual_dml.records import ADDED
from continual_dml.settings import METHODS, NO_LIMIT
from continual_dml.strategies.state import LearnerState
from continual_dml.workflows.add_items import AddResult, add_items
from continual_dml.workflows.delete_items import delete_items
from continual_dml.workflows.ingest_task import IngestResult
from continual_dml.workflows.plan_task import plan_addition
from continual_dml.workflows.refresh_gallery import RefreshTools
from continual_dml.workflows.refresh_items import refresh_items
from continual_dml.workflows.search import Searcher
from continual_dml.workflows.state_files import stored_state
from storage import durable
from storage.catalog.tables import Item
from storage.reader import WorkspaceReader
from storage.store import WorkspaceStore
from storage.workspace import Workspace
from streams.additions import load_addition
from streams.image_reader import ThreadedImageReader

Draw = Callable[..., Path]
Ingest = Callable[..., IngestResult]
Add = Callable[..., AddResult]


def files_of(workspace: Workspace) -> dict[str, bytes]:
    with WorkspaceReader(workspace) as reader:
        return {name: reader.artefacts.read_bytes(name) for name in reader.artefacts.names()}


def state_of(workspace: Workspace, cohort: int = 1) -> LearnerState:
    with WorkspaceReader(workspace) as reader:
        return stored_state(reader.artefacts, cohort)


def pixels_of(workspace: Workspace, paths: list[str]) -> np.ndarray:
    side = workspace.settings.model.stored_side_pixels
    pixels, positions = ThreadedImageReader(side, workspace.settings.streams).read(paths)
    assert len(positions) == len(paths)
    return pixels


def paths_below(folder: Path) -> list[str]:
    return sorted(map(str, folder.rglob("*.png")))


def test_added_images_find_themselves_and_no_other_file_changes(
    task_folder: Draw, ingest: Ingest, add: Add, workspace: Workspace
) -> None:
    ingest(task_folder(0))
    before = files_of(workspace)
    more = task_folder(4, categories=2)
    result = add(more)
    after = files_of(workspace)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"index.safetensors", "report.json", "statistics.safetensors"}
    births = ("items", "vectors", "fingerprints")
    assert after.keys() - before.keys() == {f"{name}-00000002.safetensors" for name in births}
    assert (result.addition.categories, result.addition.train_images) == (2, 20)
    with WorkspaceReader(workspace) as reader:
        searcher = Searcher.open(reader.artefacts, "cpu")
        found = reader.index().search(searcher.embed(pixels_of(workspace, paths_below(more))), k=1)
        items = reader.items(found.ids[:, 0].tolist())
        assert [items[int(number)].path for number in found.ids[:, 0]] == paths_below(more)
        assert {item.task for item in items.values()} == {"task-from-4"}
        assert {item.category for item in items.values()} == {"category-4", "category-5"}
    assert found.similarities.min() > 0.999


def test_the_statistics_are_those_of_all_images_together(
    task_folder: Draw, ingest: Ingest, add: Add, workspace: Workspace, tmp_path: Path
) -> None:
    first = task_folder(0)
    ingest(first)
    before = state_of(workspace).statistics
    more = task_folder(4, categories=1)
    (more / "category-4").rename(more / "category-2")
    shutil.copytree(task_folder(9, categories=1) / "category-9", more / "category-9")
    add(more)
    state = state_of(workspace)
    embedder = restore_members(workspace.settings.model, [state.weights])[0].eval()
    compute = choose_compute("cpu", "fp32")
    with WorkspaceReader(workspace) as reader:
        items = [item for item in reader.items(range(1, 80)).values() if item.role.value == "gallery"]
        ids = reader.category_ids()
    seen = extract(embedder, pixels_of(workspace, [item.path for item in items]), compute)
    labels = np.array([item.category_id for item in items])
    statistics = state.statistics
    for row, class_id in enumerate(statistics.class_ids):
        own = seen.features[labels == class_id].astype(np.float64)
        assert statistics.counts[row] == len(own)
        assert np.allclose(statistics.means[row], own.mean(axis=0), atol=1e-5)
        assert np.allclose(
            statistics.output_means[row], seen.outputs[labels == class_id].mean(axis=0), atol=1e-5
        )
    centred = [
        seen.features[labels == one] - seen.features[labels == one].mean(axis=0) for one in set(labels)
    ]
    scatter = sum(part.T.astype(np.float64) @ part for part in centred)
    assert np.allclose(statistics.scatter, scatter, atol=1e-3 * np.abs(scatter).max())
    assert set(statistics.class_ids) == {*before.class_ids, ids["category-9"]}
    assert statistics.tasks.tolist() == [0] * 5, "the new class was born with the model of the first task"
    assert state.tasks_learned == 1


def test_of_added_classes_as_many_directions_are_kept_as_of_learned_ones(
    task_folder: Draw, ingest: Ingest, add: Add, workspace: Workspace, tmp_path: Path
) -> None:
    training = replace(workspace.settings.training, class_rank=2)
    target = Workspace.create(tmp_path / "few", replace(workspace.settings, training=training))
    ingest(task_folder(0), into=target)
    more = task_folder(4, categories=2)
    (more / "category-4").rename(more / "category-0")
    add(more, into=target)
    with WorkspaceReader(target) as reader:
        ranks = reader.artefacts.read_tensors("statistics.safetensors")["factor_ranks"]
    assert ranks.tolist() == [2] * 5


def test_the_next_task_carries_added_items_from_their_own_birth(
    task_folder: Draw, ingest: Ingest, add: Add, workspace: Workspace
) -> None:
    ingest(task_folder(0))
    ingest(task_folder(4), refresh="project")
    add(task_folder(8, categories=2))
    report = ingest(task_folder(10), refresh="project").report
    births = {part["birth_generation"]: part["state"] for part in report["parts"]}
    assert births == {1: "projected", 2: "projected", 3: "projected", 4: "fresh"}
    state = state_of(workspace)
    assert set(state.drift.steps) == {2, 4}, "an addition is no step"
    second, fourth = state.drift.steps[2].map, state.drift.steps[4].map
    with WorkspaceReader(workspace) as reader:
        read = reader.artefacts.read_tensors
        for birth, way in ((1, (second, fourth)), (2, (fourth,)), (3, (fourth,))):
            features = read(f"items-{birth:08d}.safetensors")["features"].astype(np.float64)
            for step in way:
                features = step(features)
            expected = state.head(features)
            assert np.allclose(read(f"vectors-{birth:08d}.safetensors")["vectors"], expected, atol=1e-5)
        counts = dict(zip(state.statistics.class_ids.tolist(), state.statistics.counts.tolist(), strict=True))
        ids = reader.category_ids()
    assert counts[ids["category-8"]] == counts[ids["category-9"]] == 10
    assert [task["id"] for task in report["tasks"]] == [1, 2, 4]
    assert [len(row) for row in report["recall_at_k"]["1"]] == [1, 2, 3]
    assert report["added_images"] == 20
    assert "added_since" not in report


def test_figures_stay_those_from_before_with_a_count_of_what_was_added(
    task_folder: Draw, ingest: Ingest, add: Add, workspace: Workspace
) -> None:
    measured = ingest(task_folder(0)).report
    add(task_folder(4, categories=2))
    result = add(task_folder(8, categories=1, pictures=3))
    report = result.report
    for key in ("recall_at_k", "summary", "tasks", "queries", "within_task", "method"):
        assert report[key] == measured[key]
    assert report["added_since"] == {"gallery": 23, "new_categories": 3}
    assert [(part["birth_generation"], part["items"]) for part in report["parts"][1:]] == [(2, 20), (3, 3)]
    with WorkspaceStore(workspace) as store:
        delete_items(range(1, 5), store, purge=False)
        assert store.open_generation(store.head()).read_json("report.json")["added_since"]["gallery"] == 23
        assert [one.train_images for one in store.additions()] == [20, 3]


def test_added_images_are_found_from_the_memory_of_a_cohort_too(
    task_folder: Draw, ingest: Ingest, add: Add, workspace: Workspace, tmp_path: Path
) -> None:
    model = replace(workspace.settings.model, cohort=2)
    target = Workspace.create(tmp_path / "cohort", replace(workspace.settings, model=model))
    ingest(task_folder(0), into=target)
    before = files_of(target)
    more = task_folder(4, categories=1)
    add(more, into=target)
    after = files_of(target)
    changed = {name.split(".")[0] for name in before if before[name] != after[name]}
    assert changed == {"index", "report", "statistics", "statistics-1"}
    for member in state_of(target, cohort=2).members:
        assert member.statistics.counts[-1] == 10
    with WorkspaceReader(target) as reader:
        searcher = Searcher.open(reader.artefacts, "cpu")
        found = reader.index().search(searcher.embed(pixels_of(target, paths_below(more))), k=1)
        items = reader.items(found.ids[:, 0].tolist())
    assert [items[int(number)].path for number in found.ids[:, 0]] == paths_below(more)


def test_an_addition_joins_a_gallery_that_lost_all_its_images(
    task_folder: Draw, ingest: Ingest, add: Add, workspace: Workspace
) -> None:
    ingest(task_folder(0))
    with WorkspaceStore(workspace) as store:
        delete_items(list(store.items(range(1, 100))), store, purge=False)
    add(task_folder(4, categories=1))
    with WorkspaceReader(workspace) as reader:
        assert len(reader.index()) == 10


def test_a_refresh_measures_with_added_images_in_the_gallery(
    task_folder: Draw, ingest: Ingest, add: Add, workspace: Workspace
) -> None:
    ingest(task_folder(0))
    ingest(task_folder(4), refresh="project")
    add(task_folder(8, categories=1))
    settings = workspace.settings
    reader = ThreadedImageReader(settings.model.stored_side_pixels, settings.streams)
    with WorkspaceStore(workspace) as store:
        tools = RefreshTools(store, reader, SilentListener())
        report = refresh_items("auto", NO_LIMIT, tools, settings).report
    assert [task["id"] for task in report["tasks"]] == [1, 2]
    assert [part["state"] for part in report["parts"]] == ["fresh"] * 3
    assert report["added_images"] == 10
    assert "added_since" not in report


@pytest.mark.parametrize("stopped_by", [WorkspaceError("the disk is full"), KeyboardInterrupt()])
def test_whatever_stops_an_addition_leaves_nothing_of_it(
    task_folder: Draw,
    ingest: Ingest,
    add: Add,
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    stopped_by: BaseException,
) -> None:
    ingest(task_folder(0))
    before, folder = files_of(workspace), task_folder(4)
    write = durable.write_file

    def refuse(path: Path, content: bytes) -> durable.FileEntry:
        if path.name.startswith("index"):
            raise stopped_by
        return write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(durable, "write_file", refuse)
        with pytest.raises(type(stopped_by)):
            add(folder)
    assert files_of(workspace) == before
    with WorkspaceStore(workspace) as store:
        assert store.additions() == []
        assert sorted(store.category_ids()) == [f"category-{number}" for number in range(4)]
    assert [path.name for path in workspace.generations_dir.iterdir()] == ["00000001"]
    assert add(folder).addition.train_images == 40


def test_settings_of_another_network_are_refused(
    task_folder: Draw, ingest: Ingest, workspace: Workspace
) -> None:
    ingest(task_folder(0))
    other = replace(workspace.settings, model=replace(workspace.settings.model, embedding_dim=4))
    quiet = SilentListener()
    with WorkspaceStore(workspace) as store:
        task = load_addition(
            [task_folder(4)], category=None, name=None, side_pixels=18, settings=other.streams, listener=quiet
        )
        plan = plan_addition(task, store)
        with pytest.raises(SettingsError, match="embedding_dim 8, and cdml.toml says 4"):
            add_items(plan, store, other, quiet)


def test_nothing_can_be_added_before_the_first_task(task_folder: Draw, add: Add) -> None:
    with pytest.raises(CatalogError, match="no task is learned yet"):
        add(task_folder(0))


def test_no_method_of_learning_is_called_as_additions_are() -> None:
    assert ADDED not in METHODS
    assert len(ADDED) <= Item.__table__.metadata.tables["task"].c.method.type.length
