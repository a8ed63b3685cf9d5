"""The command line as a process of its own, with what it imported written beside its answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import cli
from cli.option_table import OPTIONS

ROOT = Path(cli.__file__).parent.parent
RUN_AND_LIST_MODULES = """
import json, os, sys
from cli.app import main
try:
    main()
finally:
    with open(os.environ["MODULES_FILE"], "w") as file:
        json.dump(sorted(sys.modules), file)
"""


class Finished(NamedTuple):
    """A finished process: exit code, streams, and the modules it had imported at its end."""

    code: int
    out: str
    err: str
    modules: frozenset[str]


@pytest.fixture
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting comes from a variable, whatever the environment of the tests says."""
    for option in OPTIONS:
        monkeypatch.delenv(option.variable, raising=False)


@pytest.fixture
def process(tmp_path: Path):
    def run(*arguments: str | Path, **environment: str) -> Finished:
        listing = tmp_path / "modules.json"
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        clean = {name: value for name, value in os.environ.items() if not name.startswith("CDML_")}
        done = subprocess.run(
            [sys.executable, "-c", RUN_AND_LIST_MODULES, *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**clean, "PYTHONPATH": path, "MODULES_FILE": str(listing), **environment},
            check=False,
        )
        return Finished(done.returncode, done.stdout, done.stderr, frozenset(json.loads(listing.read_text())))

    return run


@pytest.fixture(scope="session")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with one tiny task learned, and its images beside it in ``latin``; only to be read."""
    from dataclasses import replace

    from cli.wiring import IngestRequest, create_workspace, run_ingest
    from continual_dml.ports import SilentListener
    from continual_dml.settings import Settings
    from streams.glyphs import render_task

    root = tmp_path_factory.mktemp("learned")
    defaults = Settings()
    settings = replace(
        defaults,
        model=replace(
            defaults.model, backbone="conv4", pretrained=False, embedding_dim=8, image_side_pixels=32
        ),
        training=replace(defaults.training, steps=2, device="cpu", precision="fp32", flip=False),
    )
    render_task("latin", root / "latin", categories=2, samples_per_category=6, side_pixels=32)
    workspace = create_workspace(root / "workspace", settings, None, "none")
    run_ingest(IngestRequest(root / "latin", None, settings, "auto"), workspace, SilentListener())
    return root / "workspace"
