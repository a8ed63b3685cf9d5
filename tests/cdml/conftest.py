"""A small workspace with two tasks of glyphs, made once through the Python API; a test gets its own copy."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import cdml
from cli.app import main
from streams.glyphs import render_task

TINY = cdml.Settings(
    model=cdml.ModelSettings(backbone="conv4", pretrained=False, embedding_dim=16, image_side_pixels=32),
    training=cdml.TrainingSettings(
        steps=3, batch_categories=4, images_per_category=2, flip=False, device="cpu", precision="fp32"
    ),
)


@dataclass(frozen=True)
class Site:
    """A workspace and the folders of the two tasks that it has learned; these must not be changed."""

    workspace: cdml.Workspace
    latin: Path
    greek: Path

    @property
    def image(self) -> Path:
        """One image of the gallery or of the queries."""
        return sorted(self.latin.rglob("*.png"))[0]


@pytest.fixture(scope="session")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The site itself, only to be read."""
    root = tmp_path_factory.mktemp("api")
    site = Site(cdml.Workspace.create(root / "workspace", settings=TINY), root / "latin", root / "greek")
    for folder in (site.latin, site.greek):
        render_task(folder.name, folder, categories=4, samples_per_category=8, side_pixels=32)
        site.workspace.ingest_task(folder)
    return site


@pytest.fixture
def site(learned: Site, tmp_path: Path) -> Site:
    """A copy of the workspace that may be changed."""
    shutil.copytree(learned.workspace.path, tmp_path / "workspace")
    return replace(learned, workspace=cdml.Workspace.open(tmp_path / "workspace"))


@pytest.fixture
def arrows(tmp_path: Path) -> Path:
    """A third task, not learned yet."""
    render_task("arrows", tmp_path / "arrows", categories=3, samples_per_category=6, side_pixels=32)
    return tmp_path / "arrows"


@pytest.fixture
def command_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Return a function that runs ``cdml`` with arguments in this process; exit code, and what stdout got."""

    def run(*arguments: str | Path) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["cdml", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_of:
            main()
        return int(exit_of.value.code or 0), capsys.readouterr().out

    return run


class Listener:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.notes: list[str] = []

    def start(self, stage: str, total: int) -> None:
        self.stages.append(stage)

    def advance(self, units: int = 1, detail: str = "") -> None:
        pass

    def note(self, message: str) -> None:
        self.notes.append(message)


@pytest.fixture
def listener() -> Listener:
    return Listener()
