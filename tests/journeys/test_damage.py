"""Damage is found by name, through the command line alone."""

from __future__ import annotations

import json


def test_a_whole_workspace_is_said_to_be_whole(cdml, site):
    run = cdml("verify", "--deep", "-w", site.workspace, "-q")
    assert (run.code, run.err) == (0, "")
    assert run.out.startswith("1 generation, ")
    assert run.out.endswith(" checked: all whole\n")


def test_damage_is_named_and_ends_with_the_code_of_an_integrity_problem(cdml, site):
    victim = site.workspace / "gen" / "00000002" / "statistics.safetensors"
    content = victim.read_bytes()
    victim.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    run = cdml("verify", "-w", site.workspace, "--json")
    assert run.code == 7
    (line,) = run.error_lines
    assert "statistics.safetensors differs from what was published" in line
    document = json.loads(run.out)
    assert (document["whole"], len(document["problems"])) == (False, 1)
