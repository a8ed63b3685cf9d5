"""All of ``cdml ingest-task`` as a scenario: pictures are read, a network trained, a generation published."""

from __future__ import annotations

from collections.abc import Hashable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from continual_dml.errors import CatalogError
from continual_dml.settings import Settings
from storage.catalog import queries
from storage.catalog.engine import Database
from storage.reader import WorkspaceReader
from storage.workspace import Workspace
from tests.faults.scenarios import QUIET, SCENARIOS, Scenario

_SETTINGS = replace(
    Settings(),
    model=replace(
        Settings().model, backbone="conv4", pretrained=False, embedding_dim=8, image_side_pixels=32
    ),
    training=replace(
        Settings().training, steps=1, batch_categories=3, images_per_category=2, flip=False,
        device="cpu", precision="fp32",
    ),
    streams=replace(Settings().streams, decode_threads=1),
)  # fmt: skip
_TASKS = {"latin": "latin", "greek": "greek", "next": "arrows"}


def import_all() -> None:
    """Import what an ingest needs, without having torch start its threads."""
    import streams.task_folder  # noqa: F401


def _ingest(workspace: Workspace, folder: Path) -> None:
    from cli.wiring import IngestRequest, run_ingest

    run_ingest(IngestRequest(folder, folder.name, workspace.settings, "auto"), workspace, QUIET)


def _prepare(folder: Path) -> None:
    from streams.glyphs import render_task

    for name, glyphs in _TASKS.items():
        render_task(glyphs, folder / "images" / name, categories=3, samples_per_category=4, side_pixels=32)
    _ingest(Workspace.create(folder / "workspace", _SETTINGS), folder / "images" / "latin")


def _act(folder: Path) -> None:
    _ingest(Workspace.open(folder / "workspace"), folder / "images" / "greek")


def _learn_next(workspace: Workspace, folder: Path) -> None:
    _ingest(workspace, folder / "images" / "next")


def _contents(root: Path) -> Hashable:
    """Return the catalogue of the live generation and the hashes of the query images that stay with it."""
    workspace = Workspace.open(root)
    try:
        with WorkspaceReader(workspace) as reader:
            number = reader.generation.generation_id
            ids = sorted(reader.index().ids.tolist())
            tasks = tuple(task.name for task in reader.tasks())
            items = [item for _, item in sorted(reader.items(ids).items())]
    except CatalogError as error:
        if "holds no task yet" not in str(error):
            raise
        return None
    assert [item.item_id for item in items] == ids, "the index and the catalogue hold other items"
    database = Database(workspace.database_url, read_only=True)
    with closing(database), database.transaction() as connection:
        asked = tuple(item.content_hash for item in queries.query_items(connection, number))
    return number, tasks, tuple((item.item_id, item.category, item.content_hash) for item in items), asked


ALL_SCENARIOS = {**SCENARIOS, "ingest": Scenario(_prepare, _act, contents=_contents, follow_up=_learn_next)}
