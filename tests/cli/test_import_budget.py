"""Quick commands stay quick because of what they do not import. Counted, not timed."""

from __future__ import annotations

import json
import shutil

import pytest

HEAVY = frozenset({
    "torch", "torchvision", "avalanche", "faiss", "numpy", "sqlalchemy", "alembic", "matplotlib", "PIL",
    "safetensors", "pydantic", "pydantic_settings", "rich",
})  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["init", "--help"],
        ["ingest-task", "--help"],
        ["query", "--help"],
        ["demo", "--help"],
        ["benchmark", "--help"],
        ["config", "show", "--origin"],
        ["config", "path", "--json"],
        ["export", "--help"],
        ["import-embeddings", "--help"],
    ],
)
def test_help_and_settings_import_nothing_heavy(process, arguments):
    run = process(*arguments)

    assert run.code == 0
    assert not HEAVY & run.modules


def test_the_list_of_streams_is_there_without_torch(process):
    run = process("benchmark", "--list")

    assert run.code == 0
    assert "glyphs: " in run.out
    assert not {"torch", "torchvision", "avalanche", "faiss", "matplotlib", "sqlalchemy"} & run.modules


@pytest.mark.parametrize("command", ["status", "tasks", "report", "generations", "statistics"])
@pytest.mark.parametrize("as_json", [True, False])
def test_reading_commands_import_nothing_heavy(process, learned, command, as_json):
    run = process(command, "-w", learned, *(["--json"] if as_json else []))

    assert run.code == 0, run.err
    assert "latin" in run.out or command == "status"
    assert not HEAVY & run.modules


def test_a_query_imports_neither_avalanche_nor_the_compiler(process, learned):
    image = next((learned.parent / "latin").rglob("*.png"))

    run = process("query", image, "-k", "2", "-w", learned, "--json")

    assert run.code == 0, run.err
    assert len(json.loads(run.out)["queries"][0]["neighbours"]) == 2
    assert "faiss" in run.modules
    assert not {"avalanche", "matplotlib", "sympy", "torch._dynamo"} & run.modules


def test_an_ingest_never_imports_avalanche(process, learned, tmp_path):
    from streams.glyphs import render_task

    render_task("greek", tmp_path / "greek", categories=2, samples_per_category=4, side_pixels=32)

    shutil.copytree(learned, tmp_path / "workspace")
    run = process("ingest-task", tmp_path / "greek", "--steps", "1", "--json", "-w", tmp_path / "workspace")

    assert run.code == 0, run.err
    assert "torch" in run.modules
    assert "avalanche" not in run.modules
