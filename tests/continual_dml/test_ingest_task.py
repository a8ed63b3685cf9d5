"""The main job with nothing faked: real files, real training, real SQLite, real FAISS."""

import json
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from continual_dml.errors import SettingsError
from continual_dml.memory.drift_doubt import MOST_DIRECTIONS
from continual_dml.records import Role
from continual_dml.strategies.learner import Learner
from continual_dml.strategies.state import group_names
from continual_dml.workflows.delete_items import delete_items
from continual_dml.workflows.ingest_task import IngestResult
from continual_dml.workflows.search import Searcher
from continual_dml.workflows.state_files import stored_state
from storage.artefacts import PublishedArtefacts
from storage.reader import WorkspaceReader
from storage.store import WorkspaceStore
from storage.workspace import Workspace
from streams.image_reader import ThreadedImageReader

Draw = Callable[..., Path]
Ingest = Callable[..., IngestResult]


class EarlyGeneration(PublishedArtefacts):
    """With the one file that drift maps once were kept in."""

    def names(self) -> list[str]:
        return [*super().names(), "drift.safetensors"]


def state_bytes(workspace: Workspace) -> dict[str, bytes]:
    with WorkspaceReader(workspace) as reader:
        folder = workspace.generation_dir(reader.generation.generation_id)
    return {name: (folder / f"{name}.safetensors").read_bytes() for name in group_names(cohort=1)}


def state_sizes(workspace: Workspace) -> dict[str, int]:
    with WorkspaceReader(workspace) as reader:
        groups = stored_state(reader.artefacts, cohort=1).to_artefacts()
    sizes = dict.fromkeys(("model", "head", "statistics", "drift"), 0)
    for name, group in groups.items():
        sizes[name.split("-")[0]] += sum(array.nbytes for array in group.values())
    return sizes


def states(result: IngestResult) -> dict[str, int]:
    counts = {"fresh": 0, "projected": 0, "stale": 0}
    for part in result.report["parts"]:
        counts[part["state"]] += part["items"]
    return counts


def test_three_tasks_give_a_lower_triangular_matrix_and_a_gallery_of_everything(
    task_folder: Draw, ingest: Ingest, workspace: Workspace
) -> None:
    results = [ingest(task_folder(first)) for first in (0, 4, 8)]
    report = results[-1].report
    assert [len(row) for row in report["recall_at_k"]["1"]] == [1, 2, 3]
    earlier = results[1].report["recall_at_k"]["1"]
    assert report["recall_at_k"]["1"][:2] == earlier, "earlier rows are carried over unchanged"
    assert set(report["recall_at_k"]) == {"1", "2", "4", "8"}
    assert [len(row) for row in report["map_at_r"]] == [1, 2, 3]
    tasks = report["tasks"]
    assert [task["categories"] for task in tasks] == [4, 4, 4]
    assert sum(task["train_images"] + task["query_images"] for task in tasks) == 120
    with WorkspaceReader(workspace) as reader:
        assert len(reader.index()) == sum(task["train_images"] for task in tasks)
        assert reader.artefacts.read_json("report.json")["recall_at_k"] == report["recall_at_k"]


def test_a_gallery_image_finds_itself_first(task_folder: Draw, ingest: Ingest, workspace: Workspace) -> None:
    ingest(task_folder(0))
    ingest(task_folder(4))
    with WorkspaceReader(workspace) as reader:
        settings = workspace.settings
        searcher = Searcher.open(reader.artefacts, "cpu")
        items = [i for i in reader.items(list(range(1, 81))).values() if i.role is Role.GALLERY]
        decode = ThreadedImageReader(settings.model.stored_side_pixels, settings.streams)
        pixels, _ = decode.read([item.path for item in items])
        found = reader.index().search(searcher.embed(pixels), k=3)
    assert found.ids.shape == (len(items), 3)
    assert found.ids[:, 0].tolist() == [item.item_id for item in items]
    assert found.similarities[:, 0].min() > 0.999
    assert (np.diff(found.similarities, axis=1) <= 1e-6).all(), "best first"


def test_deleting_all_earlier_images_leaves_the_next_tasks_weights_identical_to_the_bit(
    task_folder: Draw, ingest: Ingest, workspace: Workspace, tmp_path: Path
) -> None:
    first, second, third = task_folder(0), task_folder(4), task_folder(8)
    outcomes = []
    for name in ("kept", "deleted"):
        target = Workspace.create(tmp_path / name, workspace.settings)
        ingest(first, into=target)
        ingest(second, into=target)
        if name == "deleted":
            shutil.rmtree(first)
            shutil.rmtree(second)
        result = ingest(third, into=target)
        outcomes.append((state_bytes(target), states(result)))
    (kept, kept_states), (deleted, deleted_states) = outcomes
    assert kept == deleted, "weights, head, statistics and drift maps"
    assert kept_states["projected"] == 0
    assert deleted_states["projected"] > deleted_states["fresh"], "old items were carried over by the map"


def test_training_never_opens_stored_features_or_query_copies(
    task_folder: Draw, ingest: Ingest, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(task_folder(0))
    opened: list[str] = []
    original = Path.open

    def recording(path: Path, *args: object, **kwargs: object) -> object:
        opened.append(str(path))
        return original(path, *args, **kwargs)

    learn, seen = Learner.learn, []

    def watched(*args: object, **kwargs: object) -> object:
        opened.clear()
        monkeypatch.setattr(Path, "open", recording)
        monkeypatch.setattr("builtins.open", lambda *a, **k: pytest.fail(f"opened {a[0]} while learning"))
        try:
            return learn(*args, **kwargs)
        finally:
            monkeypatch.undo()
            seen.extend(opened)

    monkeypatch.setattr(Learner, "learn", watched)
    ingest(task_folder(4))
    assert seen == [], "the learner works on what it is handed and opens no file at all"


@pytest.mark.parametrize("refresh", ["project", "reembed"])
def test_what_the_learner_keeps_grows_by_statistics_and_drift_maps_only(
    refresh: str, task_folder: Draw, ingest: Ingest, workspace: Workspace
) -> None:
    sizes = []
    for first in (0, 4, 8):
        ingest(task_folder(first, pictures=8 + first), refresh)  # more images per task must not matter
        sizes.append(state_sizes(workspace))
    features, outputs = 576, 8
    directions = 8 * (4 + 2 * features)  # no more than eight, however many images
    per_class = 8 * (7 + features + 2 * outputs) + directions
    per_map = 4 * (features * features + features)
    doubt = 8 * 3 + 4 * (features + MOST_DIRECTIONS * (2 * features + 1))  # at most
    for before, after in pairwise(sizes):
        assert after["model"] == before["model"]
        assert after["head"] == before["head"]
        assert after["statistics"] - before["statistics"] == 4 * per_class
        if refresh == "reembed":
            assert after["drift"] == 0, "nothing is left that was born earlier and would need a map"
        else:
            assert per_map < after["drift"] - before["drift"] <= per_map + doubt
    folder = workspace.root / "gen"
    assert len(list(folder.iterdir())) == 1, "no earlier model stays on disk"


def test_projecting_opens_no_image_and_follows_the_formula(
    task_folder: Draw, ingest: Ingest, workspace: Workspace
) -> None:
    first = task_folder(0)
    ingest(first)
    with WorkspaceReader(workspace) as reader:
        born = reader.artefacts.read_tensors("items-00000001.safetensors")
    shutil.rmtree(first)  # nothing left to open
    result = ingest(task_folder(4), refresh="project")
    assert states(result)["projected"] == len(born["ids"])
    with WorkspaceReader(workspace) as reader:
        state = stored_state(reader.artefacts, cohort=1)
        vectors = reader.artefacts.read_tensors("vectors-00000001.safetensors")["vectors"]
    drift = state.drift.from_birth(1, 576)
    for row, feature in enumerate(born["features"].astype(np.float64)):
        carried = drift.matrix @ feature + drift.offset
        embedding = state.head.projection.T @ (carried - state.head.centre)
        assert np.allclose(vectors[row], embedding / np.linalg.norm(embedding), atol=1e-4)


def test_items_are_carried_over_generations_that_left_the_model_as_it_was(
    task_folder: Draw, ingest: Ingest, workspace: Workspace
) -> None:
    first = task_folder(0)
    ingest(first)
    with WorkspaceStore(workspace) as store:
        delete_items([1], store, purge=False)  # generation 2: the same model
    shutil.rmtree(first)
    ingest(task_folder(4), refresh="project")
    with WorkspaceReader(workspace) as reader:
        state = stored_state(reader.artefacts, cohort=1)
        born = reader.artefacts.read_tensors("items-00000001.safetensors")["features"]
        vectors = reader.artefacts.read_tensors("vectors-00000001.safetensors")["vectors"]
        assert "drift-00000003.safetensors" in reader.artefacts.names()
    assert np.allclose(vectors, state.head(state.drift.steps[3].map(born.astype(np.float64))), atol=1e-6)
    assert not np.allclose(vectors, state.head(born), atol=1e-2)


def test_drift_of_earlier_tasks_is_taken_over_and_not_written_again(
    task_folder: Draw, ingest: Ingest, workspace: Workspace
) -> None:
    for first in (0, 4, 8):
        ingest(task_folder(first), refresh="project")
        if first == 4:
            inode = (workspace.generation_dir(2) / "drift-00000002.safetensors").stat().st_ino
    folder = workspace.generation_dir(3)
    assert (folder / "drift-00000002.safetensors").stat().st_ino == inode
    assert (folder / "drift-00000003.safetensors").exists()


def test_a_workspace_of_an_early_cdml_says_that_it_cannot_learn_more(
    task_folder: Draw, ingest: Ingest, workspace: Workspace
) -> None:
    ingest(task_folder(0))
    with WorkspaceReader(workspace) as reader:
        live = reader.generation
    early = EarlyGeneration.open(workspace.generation_dir(live.generation_id), live)
    with pytest.raises(SettingsError, match="made by an early cdml"):
        stored_state(early, cohort=1)


def test_auto_embeds_what_is_there_and_projects_the_rest(task_folder: Draw, ingest: Ingest) -> None:
    first = task_folder(0)
    before = states(ingest(first))["fresh"]
    shutil.rmtree(first / "category-0")
    after = states(ingest(task_folder(4)))
    assert 0 < after["projected"] < before
    assert after["stale"] == 0
    again = states(ingest(task_folder(8), refresh="project"))
    assert again["fresh"] + again["projected"] == after["fresh"] + after["projected"] + again["fresh"]


def test_a_network_that_was_edited_after_the_first_task_is_named(
    task_folder: Draw, ingest: Ingest, workspace: Workspace
) -> None:
    before = ingest(task_folder(0)).generation
    path = workspace.root / "cdml.toml"
    path.write_text(path.read_text().replace("cohort = 1", "cohort = 2"))
    with pytest.raises(SettingsError, match=r"built with cohort 1, and cdml\.toml says 2"):
        ingest(task_folder(4), into=Workspace.open(workspace.root))
    with WorkspaceReader(workspace) as reader:
        assert reader.generation == before


def test_a_changed_image_counts_as_missing(task_folder: Draw, ingest: Ingest) -> None:
    first = task_folder(0)
    ingest(first)
    for picture in (first / "category-2").iterdir():
        picture.write_bytes((first / "category-3" / picture.name).read_bytes())
    assert states(ingest(task_folder(4)))["projected"] > 0


def test_a_category_extended_by_a_later_task_is_one_category(
    task_folder: Draw, ingest: Ingest, workspace: Workspace
) -> None:
    ingest(task_folder(0))
    later = task_folder(4)
    (later / "category-4").rename(later / "category-0")
    result = ingest(later)
    with WorkspaceReader(workspace) as reader:
        statistics = reader.artefacts.read_tensors("statistics.safetensors")
        categories = {item.category for item in reader.items(list(range(1, 100))).values()}
    assert len(statistics["class_ids"]) == len(categories) == 7
    assert result.task.categories == 4


def test_a_single_new_category_is_added_without_training(
    task_folder: Draw, ingest: Ingest, workspace: Workspace
) -> None:
    ingest(task_folder(0))
    weights = state_bytes(workspace)["model"]
    result = ingest(task_folder(4, categories=1))
    assert state_bytes(workspace)["model"] == weights
    assert states(result)["projected"] == 0
    assert result.report["recall_at_k"]["1"][-1][-1] is not None


def test_the_report_is_strict_json(task_folder: Draw, ingest: Ingest) -> None:
    report = ingest(task_folder(0)).report
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert set(report["definitions"]) >= {"recall_at_k", "forgetting", "backward_transfer", "map_at_r"}
