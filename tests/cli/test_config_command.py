"""``cdml config``: each setting, its value in a workspace, and where that comes from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.effective_settings import effective_settings
from cli.option_table import OPTIONS
from cli.shell import Shell
from continual_dml.settings import Settings
from storage.workspace import Workspace

SECRET = "postgresql+psycopg://someone:s3cr3t@host.example/db?password=s3cr3t"


@pytest.fixture(autouse=True)
def own_file(tmp_path, monkeypatch, no_variables) -> Path:
    """Return the user's own file, in a folder of its own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    file = tmp_path / "config" / "cdml" / "config.toml"
    file.parent.mkdir(parents=True)
    return file


def origins(shell, workspace):
    return {one.name: (one.value, one.origin, one.where) for one in effective_settings(shell, workspace)}


def test_every_place_a_setting_can_come_from_is_told(tmp_path, own_file, monkeypatch):
    own_file.write_text('seed = 5\nloss = "triplet"\nbackbone = "resnet18"\nreembed_budget = "10m"\n')
    monkeypatch.setenv("CDML_LOSS", "margin")
    monkeypatch.setenv("CDML_BACKBONE", "resnet50")
    workspace = Workspace.create(tmp_path / "workspace", Settings())
    file = str(workspace.settings_file)

    found = origins(Shell(workspace=workspace.root, offline=True), workspace)

    assert found["workspace"] == (workspace.root, "flag", "--workspace")
    assert found["offline"] == (True, "flag", "--offline")
    assert found["training.loss"] == ("margin", "variable", "CDML_LOSS")
    assert found["training.seed"] == (5, "user", str(own_file))
    assert found["reembed_budget"] == ("10m", "user", str(own_file))
    assert found["model.backbone"] == ("mobilenet_v2", "workspace", file)
    assert found["storage.index"] == ("flat", "workspace", file)
    assert found["training.miner"] == ("batch-hard", "default", None)
    assert found["workspace.database_url"][1:] == ("default", None)


def test_without_a_workspace_it_is_what_a_new_one_would_get(own_file, monkeypatch):
    own_file.write_text('backbone = "conv4"\nindex = "hnsw"\n[gate]\nmin_recall = 0.5\n')
    monkeypatch.setenv("CDML_WEIGHTS", "none")

    found = origins(Shell(), None)

    assert found["model.backbone"] == ("conv4", "user", str(own_file))
    assert found["storage.index"] == ("hnsw", "user", str(own_file))
    assert found["gate.min_recall"] == (0.5, "user", str(own_file))
    assert found["weights"] == ("none", "variable", "CDML_WEIGHTS")
    assert found["model.pretrained"] == (False, "variable", "CDML_WEIGHTS")
    assert found["model.embedding_dim"] == (128, "default", None)


def test_a_password_is_never_shown(monkeypatch):
    monkeypatch.setenv("CDML_DATABASE_URL", SECRET)
    monkeypatch.setenv("CDML_TOKEN", "s3cr3t")

    found = origins(Shell(), None)

    url, *origin = found["workspace.database_url"]
    assert (url, origin) == (
        "postgresql+psycopg://someone@host.example/db",
        ["variable", "CDML_DATABASE_URL"],
    )
    assert "s3cr3t" not in str(found)


def test_every_option_is_in_the_list(tmp_path):
    workspace = Workspace.create(tmp_path / "workspace", Settings())
    names = {one.name for one in effective_settings(Shell(), None)}

    assert {option.place or option.name for option in OPTIONS} <= names
    assert {one.name for one in effective_settings(Shell(), workspace)} == names - {
        "weights",
        "cohort_weights",
    }


def test_the_command_shows_it_as_table_and_as_one_document(process, learned):
    table = process("config", "show", "--origin", "-w", learned, CDML_SEED="4")
    document = json.loads(process("config", "show", "--json", "-w", learned).out)
    without = process("config", "show", "-w", learned / "nothing")

    assert (table.code, table.err, without.code) == (0, "", 0)
    line = next(line.split() for line in table.out.splitlines() if line.startswith("training.seed"))
    assert line == ["training.seed", "4", "CDML_SEED"]
    steps = next(one for one in document["settings"] if one["name"] == "training.steps")
    assert (document["schema_version"], document["exists"], steps["value"]) == (1, True, 2)
    assert (steps["origin"], steps["where"]) == ("workspace", str(learned / "cdml.toml"))
    assert f"no workspace at {learned / 'nothing'}" in without.err


def test_the_files_that_are_looked_for_are_named(process, learned, tmp_path):
    run = process("config", "path", "-w", learned, XDG_CONFIG_HOME=str(tmp_path / "nowhere"))

    there, missing = run.out.splitlines()
    assert there == f"workspace: {learned / 'cdml.toml'}"
    assert missing == f"user: {tmp_path / 'nowhere' / 'cdml' / 'config.toml'} (not there)"


def test_an_unknown_name_ends_every_command_with_2_and_one_line(process, learned, own_file):
    variable = process("status", "-w", learned, CDML_WROKSPACE="x")
    own_file.write_text("devize = 'cpu'")
    file = process("status", "-w", learned)

    assert (variable.code, file.code) == (2, 2)
    assert variable.err == (
        "error: unknown environment variable CDML_WROKSPACE: did you mean CDML_WORKSPACE?\n"
    )
    assert file.err == f"error: {own_file}: unknown setting 'devize': did you mean device?\n"


def test_the_workspace_may_come_from_the_users_file_and_a_stronger_place_wins(process, learned, own_file):
    own_file.write_text(f'workspace = "{learned}"\n')

    assert process("status").code == 0
    assert process("status", CDML_WORKSPACE="elsewhere").code == 1
    assert process("status", "-w", learned, "-v", CDML_WORKSPACE="elsewhere").err == (
        f"read {own_file}\nvariables: CDML_WORKSPACE\n"
    )
