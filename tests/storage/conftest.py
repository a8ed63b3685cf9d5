"""A tiny workspace, a way to publish tiny tasks, and a way to crash."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import create_engine, make_url, text

from continual_dml.records import Generation, ImageRecord, Role
from continual_dml.settings import Settings
from storage import failpoints
from storage.reader import WorkspaceReader
from storage.store import WorkspaceStore
from storage.workspace import Workspace
from tests.postgres_server import running_server
from tests.storage.tiny_tasks import SMALL, image_file, on_circle, publish_task
from tests.storage.viewed_galleries import copy_of, make_template


def check_invariants(workspace: Workspace, expected_tasks: list[str]) -> None:
    """Catalogue, index, manifest and directories agree, and nothing unreferenced lies around."""
    with WorkspaceStore(workspace) as store:
        assert [task.name for task in store.tasks()] == expected_tasks
        assert sorted(store.category_ids()) == sorted(expected_tasks)
        copies = {item.content_hash for item in store.query_items()}
    found = {path.name for path in workspace.queries_dir.rglob("*") if path.is_file()}
    assert found == copies
    if not expected_tasks:
        assert list(workspace.generations_dir.iterdir()) == []
        return
    with WorkspaceReader(workspace) as reader:
        directory = workspace.generation_dir(reader.generation.generation_id)
        assert list(workspace.generations_dir.iterdir()) == [directory]
        assert {path.name for path in directory.iterdir()} == {*reader.artefacts.all_names(), "MANIFEST.json"}
        ids = np.sort(reader.index().ids)
        assert len(ids) == 3 * len(expected_tasks)
        assert np.array_equal(reader.index().search(on_circle(ids), 1).ids[:, 0], ids)
        assert {item.role for item in reader.items(ids.tolist()).values()} == {Role.GALLERY}
        weight = reader.artefacts.read_tensors("model.safetensors")["weight"]
        assert weight[0, 0] == reader.generation.generation_id


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "workspace", SMALL)


@pytest.fixture
def publish() -> Callable[..., Generation]:
    return publish_task


@pytest.fixture
def invariants() -> Callable[..., None]:
    return check_invariants


@pytest.fixture
def image() -> Callable[..., ImageRecord]:
    return image_file


@pytest.fixture
def small_settings() -> Settings:
    return SMALL


class Crash(BaseException):
    """Stops the program as a crash does: nobody expects it, so nobody cleans up."""


@pytest.fixture
def crash_at(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], type[Crash]]]:
    def prepare(step: str) -> type[Crash]:
        def stop(reached: str) -> None:
            if reached == step:
                monkeypatch.undo()
                raise Crash(step)

        monkeypatch.setattr(failpoints, "on_step", stop)
        return Crash

    return prepare


@pytest.fixture
def two(tmp_path: Path, small_settings: Settings, publish: Callable[..., Generation]) -> Workspace:
    """A workspace with initial weights that keeps both generations it has published."""
    weights = bytes.fromhex("0800000000000000") + b"{}      "
    workspace = Workspace.create(
        tmp_path / "two", small_settings, None, weights, {"source": "here"}, keep_generations=2
    )
    with WorkspaceStore(workspace) as store:
        for name in ("birds", "cars"):
            publish(store, name, tmp_path / name)
    return workspace


@pytest.fixture(scope="module")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_server(tmp_path_factory.mktemp("postgres")) as address:
        yield address


@pytest.fixture
def new_database(server_url: str) -> Iterator[Callable[[], str]]:
    """A function that makes empty databases, which are dropped afterwards."""
    engine = create_engine(server_url, isolation_level="AUTOCOMMIT")
    names: list[str] = []

    def make() -> str:
        names.append(f"empty_{len(names)}")
        connection.execute(text(f"CREATE DATABASE {names[-1]}"))
        return make_url(server_url).set(database=names[-1]).render_as_string(hide_password=False)

    with engine.connect() as connection:
        yield make
        for name in names:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


@pytest.fixture
def there(tmp_path: Path, small_settings: Settings, new_database: Callable[[], str]) -> Workspace:
    """A workspace with its catalogue and its vectors in PostgreSQL."""
    return Workspace.create(tmp_path / "there", small_settings, new_database(), index="pgvector")


@pytest.fixture(params=["sqlite", "postgresql", "pgvector"])
def learned(request: pytest.FixtureRequest, tmp_path: Path) -> Workspace:
    """A workspace of each kind that has learned one task and keeps one generation."""
    url = None if request.param == "sqlite" else request.getfixturevalue("new_database")()
    index = "pgvector" if request.param == "pgvector" else "flat"
    workspace = Workspace.create(tmp_path / "workspace", SMALL, url, index=index)
    with WorkspaceStore(workspace) as store:
        publish_task(store, "birds", tmp_path / "images")
    return workspace


@pytest.fixture
def small(workspace: Workspace, tmp_path: Path) -> Workspace:
    """The same on SQLite alone."""
    with WorkspaceStore(workspace) as store:
        publish_task(store, "birds", tmp_path / "images")
    return workspace


@pytest.fixture(scope="session")
def viewed_template(tmp_path_factory):
    return make_template(tmp_path_factory.mktemp("view"))


@pytest.fixture
def three(viewed_template, tmp_path):
    """Three tasks; the live generation computes the vectors of all."""
    return copy_of(viewed_template, tmp_path)
