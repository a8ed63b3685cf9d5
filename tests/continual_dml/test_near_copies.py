"""What a plan says of a folder: new, known, duplicates, and what looks like a copy of something else."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from continual_dml.errors import AlreadyIngested, CatalogError, EmptyTask
from continual_dml.ports import SilentListener
from continual_dml.records import LoadedTask, Role
from continual_dml.settings import StreamSettings
from continual_dml.workflows import fingerprint_files
from continual_dml.workflows.delete_items import delete_items
from continual_dml.workflows.ingest_task import IngestResult
from continual_dml.workflows.near_copies import NearCopy
from continual_dml.workflows.plan_task import TaskPlan, plan_addition, plan_task
from storage.reader import WorkspaceReader
from storage.store import WorkspaceStore
from storage.workspace import Workspace
from streams.additions import load_addition
from streams.task_folder import load_task

Draw = Callable[..., Path]
Ingest = Callable[..., IngestResult]
Plan = Callable[[Path], TaskPlan]


def load(folder: Path) -> LoadedTask:
    return load_task(folder, name=None, side_pixels=18, settings=StreamSettings(), listener=SilentListener())


def load_all(*paths: Path, category: str | None = None) -> LoadedTask:
    settings, quiet = StreamSettings(), SilentListener()
    return load_addition(
        paths, category=category, name=None, side_pixels=18, settings=settings, listener=quiet
    )


@pytest.fixture
def plan(workspace: Workspace) -> Plan:
    def run(folder: Path) -> TaskPlan:
        with WorkspaceStore(workspace) as store:
            return plan_task(load(folder), store)

    return run


@pytest.fixture
def add_plan(workspace: Workspace) -> Callable[..., TaskPlan]:
    def run(*paths: Path, category: str | None = None) -> TaskPlan:
        with WorkspaceStore(workspace) as store:
            return plan_addition(load_all(*paths, category=category), store)

    return run


def resaved(source: Path, target: Path) -> Path:
    """The same picture in another file: other bytes, so another content hash."""
    target.parent.mkdir(parents=True, exist_ok=True)
    Image.open(source).save(target, "BMP")
    return target


def held_out(folder: Path) -> Path:
    return Path(next(one.path for one in load(folder).records if one.role is Role.QUERY))


def searched(folder: Path) -> Path:
    return Path(next(one.path for one in load(folder).records if one.role is Role.GALLERY))


def test_a_copy_within_the_folder_is_told_once_and_left_where_it_is(task_folder: Draw, plan: Plan) -> None:
    folder = task_folder(0)
    original = searched(folder)
    copy = resaved(original, folder / "category-1" / "copy.png")
    planned = plan(folder)
    (near,) = planned.near_copies.found
    assert {near.path, near.other} == {str(original), str(copy)}
    assert (near.item_id, near.bits_apart) == (None, 0)
    assert len(planned.gallery_rows) + len(planned.query_rows) == 41, "nothing is left out for it"
    assert planned.quarantined == ()


def test_a_held_out_image_and_its_copy_that_is_searched_are_told_apart(task_folder: Draw, plan: Plan) -> None:
    folder = task_folder(0)
    roles = {Path(one.path): one.role for one in load(folder).records}
    for original, role in list(roles.items()):
        copy = resaved(original, original.with_name(f"copy-of-{original.name}"))
        now = {Path(one.path): one.role for one in load(folder).records}
        if role is Role.QUERY and now[copy] is Role.GALLERY and now[original] is Role.QUERY:
            break
        copy.unlink()
    (near,) = plan(folder).near_copies.found
    assert near == NearCopy(str(original), str(copy), None, 0, across=True)


def test_copies_of_what_the_workspace_knows_name_the_item(
    task_folder: Draw, ingest: Ingest, add_plan: Callable[..., TaskPlan], tmp_path: Path, workspace: Workspace
) -> None:
    first = task_folder(0)
    ingest(first)
    asked, found = held_out(first), searched(first)
    extra = tmp_path / "extra" / "category-0"
    of_query = resaved(asked, extra / "of-a-query.png")
    of_gallery = resaved(found, extra / "of-a-gallery-image.png")
    near = {one.path: one for one in add_plan(tmp_path / "extra").near_copies.found}
    with WorkspaceStore(workspace) as store:
        numbers = {item.path: item.item_id for item in store.items(range(1, 100)).values()}
    expected = NearCopy(str(of_query), str(asked), numbers[str(asked)], 0, across=True)
    assert near[str(of_query)] == expected
    expected = NearCopy(str(of_gallery), str(found), numbers[str(found)], 0, across=False)
    assert near[str(of_gallery)] == expected


def test_what_makes_recall_look_better_is_told_before_what_is_as_near(
    task_folder: Draw, ingest: Ingest, add_plan: Callable[..., TaskPlan], tmp_path: Path
) -> None:
    first = task_folder(0)
    ingest(first)
    asked = held_out(first)
    resaved(asked, tmp_path / "extra" / "category-0" / "a.png")
    Image.open(asked).save(tmp_path / "extra" / "category-0" / "b.png", "TIFF")
    near = add_plan(tmp_path / "extra").near_copies.found
    assert [one.other for one in near] == [str(asked)] * 2
    assert all(one.across for one in near)


def test_images_from_before_fingerprints_were_kept_are_counted_as_not_compared(
    task_folder: Draw, ingest: Ingest, plan: Plan, monkeypatch: pytest.MonkeyPatch, workspace: Workspace
) -> None:
    first = task_folder(0)
    with monkeypatch.context() as patch:
        patch.setattr("continual_dml.workflows.ingest_task.write_fingerprints", lambda *_: None)
        ingest(first)
    with WorkspaceReader(workspace) as reader:
        assert not [name for name in reader.artefacts.names() if name.startswith("fingerprints")]
    resaved(first / "category-0" / "0.png", task_folder(4) / "category-4" / "copy.png")
    near = plan(first.with_name("task-from-4")).near_copies
    assert (near.found, near.new_unknown, near.earlier_unknown) == ((), 0, 40)


def test_plain_images_are_counted_and_not_compared(task_folder: Draw, plan: Plan) -> None:
    folder = task_folder(0)
    for number, colour in enumerate(("white", "red")):
        Image.new("RGB", (20, 20), colour).save(folder / "category-0" / f"plain-{number}.png")
    near = plan(folder).near_copies
    assert (near.found, near.new_unknown, near.earlier_unknown) == ((), 2, 0)


def test_deleted_images_are_compared_with_no_more(
    task_folder: Draw, ingest: Ingest, add_plan: Callable[..., TaskPlan], tmp_path: Path, workspace: Workspace
) -> None:
    first = task_folder(0)
    ingest(first)
    original = searched(first)
    resaved(original, tmp_path / "extra" / "category-0" / "copy.png")
    (near,) = add_plan(tmp_path / "extra").near_copies.found
    with WorkspaceStore(workspace) as store:
        delete_items([near.item_id], store, purge=False)
        kept = fingerprint_files.stored_fingerprints(store.open_generation(store.head()))
        assert sorted(kept.ids) == sorted(store.items(range(1, 100)))
    assert add_plan(tmp_path / "extra").near_copies.found == ()


def test_the_reasons_for_leaving_out_are_counted_apart(
    task_folder: Draw, ingest: Ingest, add_plan: Callable[..., TaskPlan], tmp_path: Path
) -> None:
    first = task_folder(0)
    ingest(first)
    more = task_folder(4, categories=2)
    (more / "category-4" / "known.png").write_bytes((first / "category-0" / "3.png").read_bytes())
    (more / "category-4" / "twin.png").write_bytes((more / "category-5" / "3.png").read_bytes())
    (more / "category-4" / "note.jpg").write_text("not an image")
    planned = add_plan(more)
    assert (len(planned.gallery_rows), len(planned.query_rows)) == (20, 0), "an addition holds nothing out"
    assert (planned.task.twins, planned.known, len(planned.quarantined)) == (1, 1, 3)
    assert planned.new_categories == ("category-4", "category-5")


def test_an_addition_needs_a_model_and_something_new(
    task_folder: Draw, ingest: Ingest, add_plan: Callable[..., TaskPlan], tmp_path: Path
) -> None:
    first = task_folder(0)
    with pytest.raises(CatalogError, match="no model to embed images with; run `cdml ingest-task FOLDER`"):
        add_plan(first)
    ingest(first)
    with pytest.raises(AlreadyIngested, match="nothing was changed"):
        add_plan(first)
    (tmp_path / "note.png").write_text("not an image")
    with pytest.raises(EmptyTask, match=r"no usable image to add in .*note\.png"):
        add_plan(tmp_path / "note.png", category="notes")
