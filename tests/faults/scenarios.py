"""Operations that are interrupted: what is there before, what is done, and what there is to see afterwards.

A scenario lives in a folder of its own that is copied for each interruption. Nothing here is replaced: store,
catalogue, files and index are the real ones; only the tasks are tiny and nothing is trained.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Hashable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from continual_dml.errors import CatalogError
from continual_dml.ports import SilentListener
from continual_dml.records import Role
from storage.backup import back_up, restore
from storage.catalog import history
from storage.catalog.engine import Database
from storage.generations import read_generations
from storage.reader import WorkspaceReader
from storage.rebuild_catalogue import rebuild_catalogue, what_is_wrong
from storage.store import WorkspaceStore
from storage.workspace import Workspace
from tests.storage.tiny_tasks import SMALL, add_images, delete_images, image_file, on_circle, publish_task

QUIET = SilentListener()
WEIGHTS = bytes.fromhex("0800000000000000") + b"{}      "
ARCHIVE = "backup.tar"


def tiny_contents(root: Path) -> Hashable:
    """Return what the live generation of a workspace of tiny tasks answers, checked against itself."""
    workspace = Workspace.open(root)
    database = Database(workspace.database_url, read_only=True)
    with closing(database), database.transaction() as connection:
        tags = tuple(history.tags(connection).items())
    try:
        with WorkspaceReader(workspace) as reader:
            number = reader.generation.generation_id
            ids = np.sort(reader.index().ids)
            items = [item for _, item in sorted(reader.items(ids.tolist()).items())]
            learned = reader.tasks()
            weight = reader.artefacts.read_tensors("model.safetensors")["weight"]
            nearest = reader.index().search(on_circle(ids), 1).similarities
    except CatalogError as error:
        if "holds no task yet" not in str(error):
            raise
        return None, (), (), tags
    assert [item.item_id for item in items] == ids.tolist(), "the index and the catalogue hold other items"
    # Ids far apart may lie at nearly one angle, so the similarity is compared, not the id.
    assert (nearest > 1 - 1e-5).all(), "an item does not find itself"
    assert weight[0, 0] == learned[-1].generation_id, "the model is of another generation"
    assert {item.role for item in items} <= {Role.GALLERY}
    tasks = tuple(task.name for task in learned)
    return number, tasks, tuple((item.item_id, item.category, item.content_hash) for item in items), tags


def contents_and_refused(root: Path) -> Hashable:
    """Return the same, and the generations that were refused with whether their files are there."""
    log = read_generations(Workspace.open(root))
    return tiny_contents(root), tuple((one.generation_id, one.kept) for one in log if one.refused)


def lost_or_contents(root: Path) -> Hashable:
    """Return the same, or that the catalogue has to be built again first."""
    return "lost" if what_is_wrong(Workspace.open(root)) else tiny_contents(root)


def _archived(archive: Path) -> Hashable:
    target = archive.with_name("restored-to-look")
    shutil.rmtree(target, ignore_errors=True)
    return tiny_contents(restore(archive, target, None, QUIET).root)


def _publish_next(workspace: Workspace, folder: Path) -> None:
    with WorkspaceStore(workspace) as store:
        publish_task(store, "next", folder / "images")


@dataclass(frozen=True, slots=True)
class Scenario:
    """``prepare`` makes a folder ready, ``act`` is interrupted, ``look`` tells what a user then sees.

    ``makes``: whether ``act`` makes something that was not there, so that it is simply done again after an
    interruption. ``workspace``: its name within the folder. ``contents`` looks into it. ``follow_up`` is what
    its user does next: learn a task called "next".
    """

    prepare: Callable[[Path], None]
    act: Callable[[Path], None]
    makes: bool = False
    workspace: str = "workspace"
    contents: Callable[[Path], Hashable] = tiny_contents
    follow_up: Callable[[Workspace, Path], None] = _publish_next

    def look(self, folder: Path) -> Hashable:
        """Return all that can be seen from outside; equal for equal content."""
        root = folder / self.workspace
        seen = self.contents(root) if (root / "cdml.toml").exists() else None
        archive = folder / ARCHIVE
        return seen, (_archived(archive) if self.act is _back_up and archive.exists() else None)


def _image_files(folder: Path, *names: str) -> None:
    for name in names:
        for number, role in enumerate((*[Role.GALLERY] * 3, Role.QUERY)):
            image_file(folder / "images", f"{name}-{number}.png", role, name)


def _empty(folder: Path) -> None:
    Workspace.create(folder / "workspace", SMALL)
    _image_files(folder, "first", "next")


def _with_generations(folder: Path, number: int) -> Workspace:
    workspace = Workspace.create(
        folder / "workspace", SMALL, None, WEIGHTS, {"source": "here"}, keep_generations=number
    )
    names = ("first", "second", "third")[:number]
    _image_files(folder, *names, "third", "next")
    with WorkspaceStore(workspace) as store:
        for name in names:
            publish_task(store, name, folder / "images")
    return workspace


def _two_generations(folder: Path) -> None:
    _with_generations(folder, 2)


def _three_generations(folder: Path) -> None:
    _with_generations(folder, 3)


def _with_a_refused_one(folder: Path) -> None:
    _two_generations(folder)
    _refuse_third(folder)


def _backed_up(folder: Path) -> None:
    back_up(_with_generations(folder, 2), folder / ARCHIVE, QUIET)


def _damaged_catalogue(folder: Path) -> None:
    for path in _with_generations(folder, 2).root.glob("catalog.db*"):
        path.unlink()
    (folder / "workspace" / "catalog.db").write_bytes(b"damage" * 1000)


def _nothing(folder: Path) -> None:
    _image_files(folder, "next")


def _store(folder: Path, keep: int | None = None) -> WorkspaceStore:
    return WorkspaceStore(Workspace.open(folder / "workspace"), keep)


def _publish_first(folder: Path) -> None:
    with _store(folder) as store:
        publish_task(store, "first", folder / "images")


def _publish_third(folder: Path) -> None:
    with _store(folder) as store:
        publish_task(store, "third", folder / "images")


def _refuse_third(folder: Path) -> None:
    with _store(folder) as store:
        publish_task(store, "third", folder / "images", refusal="not good enough")


def _promote(folder: Path) -> None:
    with _store(folder) as store:
        store.promote()


def _roll_back(folder: Path) -> None:
    with _store(folder) as store:
        store.rollback(1)


def _tag(folder: Path) -> None:
    with _store(folder) as store:
        store.tag("good", 1)


def _collect(folder: Path) -> None:
    with _store(folder, keep=1):
        pass


def _add(folder: Path) -> None:
    with _store(folder) as store:
        add_images(store, "third", folder / "images")


def _delete(folder: Path) -> None:
    with _store(folder) as store:
        delete_images(store, [2, 8])


def _purge(folder: Path) -> None:
    with _store(folder) as store:
        delete_images(store, [2, 8], purge=True)


def _create(folder: Path) -> None:
    Workspace.create(folder / "workspace", SMALL, None, WEIGHTS, {"source": "here"})


def _back_up(folder: Path) -> None:
    back_up(Workspace.open(folder / "workspace"), folder / ARCHIVE, QUIET)


def _restore(folder: Path) -> None:
    restore(folder / ARCHIVE, folder / "restored", None, QUIET)


def _rebuild(folder: Path) -> None:
    rebuild_catalogue(Workspace.open(folder / "workspace"))


SCENARIOS = {
    "publish": Scenario(_two_generations, _publish_third),
    "publish-first": Scenario(_empty, _publish_first),
    "refuse": Scenario(_two_generations, _refuse_third, contents=contents_and_refused),
    "promote": Scenario(_with_a_refused_one, _promote, contents=contents_and_refused),
    "rollback": Scenario(_two_generations, _roll_back),
    "collect": Scenario(_three_generations, _collect),
    "add": Scenario(_two_generations, _add),
    "delete": Scenario(_two_generations, _delete),
    "purge": Scenario(_two_generations, _purge),
    "tag": Scenario(_two_generations, _tag),
    "init": Scenario(_nothing, _create, makes=True),
    "backup": Scenario(_two_generations, _back_up, makes=True),
    "restore": Scenario(_backed_up, _restore, makes=True, workspace="restored"),
    "rebuild": Scenario(_damaged_catalogue, _rebuild, makes=True, contents=lost_or_contents),
}
