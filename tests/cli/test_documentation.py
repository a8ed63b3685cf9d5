"""Everything that a user can say is documented: commands, flags, variables, settings and names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.core import TyperArgument, TyperGroup, TyperOption

import cli
from cli.app import command_line
from cli.effective_settings import effective_settings
from cli.option_table import OPTIONS
from cli.render.settings_lists import shown
from cli.shell import Shell
from cli.sources import USER_SECTIONS
from continual_dml.settings import (
    HEADS,
    LOSSES,
    METHODS,
    REFRESH_MODES,
    SELF_DISTILLATIONS,
    TRIPLET_MINERS,
)
from continual_dml.strategies.variants import COMPARED
from storage.workspace_file import INDEX_KINDS
from streams.named.catalogue import STREAMS

ROOT = Path(cli.__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
EVERYTHING = "\n".join([README, *(page.read_text(encoding="utf-8") for page in (ROOT / "docs").glob("*.md"))])
BACKBONES = ("conv4", "mobilenet_v2", "resnet18", "resnet50", "squeezenet1_1", "vit_b_16")


def commands(group: object, path: str) -> Iterator[tuple[str, object]]:
    """Yield every command and group with its full name."""
    yield path, group
    if isinstance(group, TyperGroup):
        for name, inner in group.commands.items():
            yield from commands(inner, f"{path} {name}")


ALL = dict(commands(command_line(), "cdml"))


@pytest.mark.parametrize("name", ALL)
def test_every_command_and_every_parameter_of_it_has_help(name):
    command = ALL[name]

    assert command.help
    for parameter in command.params:
        assert isinstance(parameter, TyperOption | TyperArgument)
        assert parameter.help, f"{name}: {parameter.name}"


def test_every_command_is_in_the_table_of_the_readme():
    told = re.findall(r"^\| `(cdml [a-z-]+)", README, flags=re.MULTILINE)

    assert set(told) == {name for name in ALL if name.count(" ") == 1}


def test_every_shared_flag_is_described():
    shared = {
        flag for parameter in ALL["cdml"].params for flag in (*parameter.opts, *parameter.secondary_opts)
    }

    for flag in shared:
        assert f"`{flag}" in CONFIGURATION or flag in (
            "--version",
            "--show-completion",
            "--install-completion",
        )


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_option_is_documented_with_its_variable_and_has_a_flag(option):
    rows = [line for line in CONFIGURATION.splitlines() if f"`{option.variable}`" in line]
    flags = {flag for command in ALL.values() for parameter in command.params for flag in parameter.opts}

    assert any(row.startswith(f"| `{option.place or option.name}` ") for row in rows) or not option.personal
    assert rows
    assert f"--{option.name.replace('_', '-')}" in flags


def test_no_variable_is_documented_that_is_none():
    told = set(re.findall(r"\bCDML_[A-Z_]*[A-Z]\b", EVERYTHING))

    assert {name for name in told if not name.startswith("CDML_TEST")} == {
        option.variable for option in OPTIONS
    }


def test_every_setting_is_documented_with_its_default(monkeypatch, tmp_path, no_variables):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in CONFIGURATION.splitlines()
        if line.startswith("| `")
    ]
    sections = ("workspace", "storage", "model", *USER_SECTIONS)
    told = {
        row[0].strip("`"): row[2] for row in rows if row[0].startswith(tuple(f"`{one}." for one in sections))
    }
    placeless = {option.name for option in OPTIONS if option.place is None}

    found = {one.name: shown(one.value) for one in effective_settings(Shell(), None)}

    assert told == {name: value for name, value in found.items() if name not in placeless}
    for section in USER_SECTIONS:
        assert f"`[{section}]`" in CONFIGURATION


@pytest.mark.parametrize(
    "names",
    [
        LOSSES,
        TRIPLET_MINERS,
        METHODS,
        COMPARED,
        HEADS,
        SELF_DISTILLATIONS,
        REFRESH_MODES,
        INDEX_KINDS,
        BACKBONES,
        tuple(STREAMS),
    ],
)
def test_every_name_that_can_be_chosen_is_documented(names):
    assert [name for name in names if f"`{name}`" not in EVERYTHING] == []
