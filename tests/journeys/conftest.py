"""A workspace with two tiny tasks learned, made once; every test gets its own copy of it."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import pytest

from cli.app import main
from cli.wiring import IngestRequest, create_workspace, run_ingest
from continual_dml.ports import SilentListener
from continual_dml.settings import Settings
from streams.glyphs import render_task

if TYPE_CHECKING:
    from collections.abc import Iterator


class Run(NamedTuple):
    """What one call of the command line gave."""

    code: int
    out: str
    err: str

    @property
    def error_lines(self) -> list[str]:
        """Lines on stderr that report an error."""
        return [line for line in self.err.splitlines() if line.startswith("error: ")]


class Command(Protocol):
    """``cdml`` with these arguments, in this process, through the real entry point."""

    def __call__(self, *arguments: str | Path) -> Run: ...


@pytest.fixture
def cdml(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    def run(*arguments: str | Path) -> Run:
        monkeypatch.setattr(sys, "argv", ["cdml", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_of:
            main()
        captured = capsys.readouterr()
        return Run(int(exit_of.value.code or 0), captured.out, captured.err)

    return run


@dataclass(frozen=True)
class Site:
    """A workspace folder and the folders of the two tasks that it has learned."""

    workspace: Path
    latin: Path
    greek: Path


TINY_TRAINING = replace(Settings().training, steps=3, batch_categories=4, images_per_category=2, flip=False)
TINY = replace(
    Settings(),
    model=replace(
        Settings().model, backbone="conv4", pretrained=False, embedding_dim=16, image_side_pixels=32
    ),
    training=replace(TINY_TRAINING, device="cpu", precision="fp32"),
)


@pytest.fixture(scope="session")
def learned_site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    root = tmp_path_factory.mktemp("site")
    site = Site(root / "workspace", root / "latin", root / "greek")
    workspace = create_workspace(site.workspace, TINY, None, "none")
    for name, folder in (("latin", site.latin), ("greek", site.greek)):
        render_task(name, folder, categories=4, samples_per_category=8, side_pixels=32)
        run_ingest(IngestRequest(folder, None, workspace.settings, "auto"), workspace, SilentListener())
    return site


@pytest.fixture
def site(learned_site: Site, tmp_path: Path) -> Iterator[Site]:
    """Yield a copy of the workspace; the task folders are shared and must not be changed."""
    sockets = shutil.ignore_patterns("*.sock")  # of a server that another fixture runs
    shutil.copytree(learned_site.workspace, tmp_path / "workspace", ignore=sockets)
    yield replace(learned_site, workspace=tmp_path / "workspace")


@pytest.fixture
def arrows(tmp_path: Path) -> Path:
    """A third task, not learned yet."""
    render_task("arrows", tmp_path / "arrows", categories=3, samples_per_category=6, side_pixels=32)
    return tmp_path / "arrows"
