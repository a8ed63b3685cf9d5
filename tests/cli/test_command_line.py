"""What holds for every command: help, README, shared options, streams, exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import cli
from cli.app import command_line
from continual_dml import __version__

ROOT = Path(cli.__file__).parent.parent
COMMANDS = ["init", "ingest-task", "add", "refresh", "query", "serve", "report", "tasks", "status"]
COMMANDS += [
    "statistics",
    "generations",
    "rollback",
    "promote",
    "tag",
    "delete",
    "compact",
    "gc",
    "verify",
    "backup",
    "restore",
    "export",
    "import-embeddings",
    "demo",
    "benchmark",
]
WITHOUT_WORKSPACE = {"benchmark"}


def test_the_commands_are_those_that_are_documented():
    assert list(command_line().commands) == [*COMMANDS, "config"]
    assert [command.name for command in command_line().commands.values()] == [*COMMANDS, "config"]


def test_a_call_imports_the_command_that_it_names_and_no_other():
    program = "import sys\nfrom cli.app import main\ntry:\n    main()\nfinally:\n    print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program, "tasks", "--help"], capture_output=True, text=True, check=True
    )
    imported = {name for name in done.stdout.split() if name.startswith("cli.commands.")}
    assert imported == {"cli.commands.tasks"}


def test_at_its_end_no_command_looks_for_garbage_in_all_that_was_imported():
    ending = (
        "atexit.register(lambda: print(gc.get_freeze_count() > 1000))"  # called after what main registers
    )
    program = f"import atexit, gc\n{ending}\nfrom cli.app import main\nmain()"
    done = subprocess.run(
        [sys.executable, "-c", program, "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [f"cdml {__version__}", "True"]


def test_completion_is_installed_for_the_program_and_by_no_command():
    whole = command_line()
    offered = {option for option in (each.name for each in whole.params) if "completion" in str(option)}
    assert offered == {"install_completion", "show_completion"}
    for command in whole.commands.values():
        assert not offered & {each.name for each in command.params}


def test_a_command_that_does_not_exist_is_no_command_and_imports_none():
    commands = command_line().commands
    assert "tsks" not in commands
    assert commands.get("tsks") is None
    assert "tasks" in commands


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_a_line_in_the_readme(process, command):
    run = process(command, "--help")

    assert run.code == 0
    for option in ("--json", "--quiet", "--verbose", "--no-progress", "--yes", "--offline", "--debug"):
        assert option in run.out
    assert ("--workspace" in run.out) == (command not in WITHOUT_WORKSPACE)
    assert run.err == ""
    assert f"cdml {command}" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_version_is_the_package_version(process):
    assert process("--version").out == f"cdml {__version__}\n"


@pytest.mark.parametrize("after", [True, False])
def test_shared_options_stand_before_or_after_the_command(process, learned, after):
    shared = ["-w", learned, "--json", "-q", "--debug"]

    run = process("status", *shared) if after else process(*shared, "status")

    assert (run.code, run.err) == (0, "")
    assert json.loads(run.out)["generation"] == 1


def test_a_workspace_after_the_command_wins_over_one_before_it(process, learned, tmp_path):
    assert process("-w", tmp_path / "other", "status", "-w", learned).code == 0


def test_the_workspace_may_come_from_the_environment(process, learned):
    assert process("status", CDML_WORKSPACE=str(learned)).code == 0


def test_without_any_workspace_given_it_is_dot_cdml(process, tmp_path):
    assert f"no workspace at {tmp_path}/.cdml" in process("status").err


@pytest.mark.parametrize(
    "arguments",
    [
        ["frobnicate"],
        ["status", "--colour"],
        ["ingest-task"],
        ["query", "a.png", "-k", "0"],
        ["benchmark", "glyphs", "--seeds", "0"],
        ["init", "--cohort", "two"],
    ],
)
def test_usage_errors_end_with_2_and_say_nothing_on_stdout(process, arguments):
    run = process(*arguments)

    assert (run.code, run.out) == (2, "")
    assert "Error: " in run.err or "Usage: " in run.err


def test_an_error_is_one_line_and_its_traceback_only_shows_with_debug(process, tmp_path):
    plain = process("status", "-w", tmp_path / "none", "--json")
    debug = process("status", "-w", tmp_path / "none", "--debug")

    assert (plain.code, debug.code) == (1, 1)
    assert plain.out == ""
    assert plain.err.startswith("error: no workspace at ")
    assert plain.err.count("\n") == 1
    assert "Traceback" in debug.err


def test_control_characters_in_a_name_do_not_break_the_one_line(process, tmp_path):
    run = process("status", "-w", tmp_path / "two\nlines\x1b[31m")

    assert "two\\nlines\\x1b[31m" in run.err
    assert run.err.count("\n") == 1


def test_a_damaged_settings_file_is_an_error_not_a_traceback(process, tmp_path):
    (tmp_path / "cdml.toml").write_text("model = ")

    run = process("status", "-w", tmp_path)

    assert run.code == 1
    assert run.err.startswith("error: cannot read ")


def report_into(sink, learned) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cli.app", "report", "--json", "-w", str(learned)]
    return subprocess.run(command, stdout=sink, stderr=subprocess.PIPE, cwd=ROOT, text=True, check=False)


def test_a_reader_that_has_seen_enough_is_no_error(learned):
    with subprocess.Popen(["true"], stdin=subprocess.PIPE) as reader:
        reader.wait()
        done = report_into(reader.stdin, learned)

    assert (done.returncode, done.stderr) == (0, "")


def test_a_result_that_cannot_be_written_is_one_error_line(learned):
    with Path("/dev/full").open("w") as full:
        done = report_into(full, learned)

    assert done.returncode == 1
    assert done.stderr.startswith("error: cannot write the result")
    assert done.stderr.count("\n") == 1
