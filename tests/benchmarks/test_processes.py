"""Commands that benchmarks run, and what they are said to take."""

from __future__ import annotations

import sys

import pytest

from benchmarks.processes import measured

MEGABYTE = 2**20


def run(text, **options):
    return measured(sys.executable, "-I", "-S", "-c", text, **options)


def test_a_command_tells_what_it_printed_and_what_it_took():
    done = run("sum(range(3_000_000)); print('done')")
    assert done.output == "done\n"
    assert done.processor > 0
    assert done.clock > 0


def test_memory_of_the_process_that_measures_is_not_taken_for_the_commands_own():
    held = bytearray(300 * MEGABYTE)
    held[:: 4096 // 2] = b"1" * len(held[:: 4096 // 2])  # every page is there
    small = run("pass")
    large = run(f"bytearray({200 * MEGABYTE})[::2048] = b'1' * {200 * MEGABYTE // 2048}")
    assert small.peak < 100
    assert small.peak + 190 < large.peak < small.peak + 230


def test_a_command_that_fails_ends_the_benchmark_unless_its_exit_code_is_expected():
    done = run("print('partly'); raise SystemExit(3)", accepted=(0, 3))
    assert done.output == "partly\n"
    with pytest.raises(SystemExit, match="ended with 3"):
        run("raise SystemExit(3)")
