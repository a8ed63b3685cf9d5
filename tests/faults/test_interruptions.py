"""A sample of ``make faults``: every kind of interruption, at some of the places where it can strike."""

from __future__ import annotations

import pytest

from tests.faults.campaign import Outcome, cut_power, interrupt, prepare
from tests.faults.mutants import MUTANTS
from tests.faults.system_calls import available, points
from tests.faults.zygote import Zygote

pytestmark = pytest.mark.skipif(not available(), reason="needs strace, which makes calls to the system fail")


@pytest.fixture(scope="module")
def zygote():
    with Zygote() as running:
        yield running


@pytest.mark.parametrize(
    ("name", "step"),
    [("publish", 31), ("purge", 61), ("refuse", 71), ("promote", 23), ("rollback", 19), ("restore", 101)],
)
def test_whatever_call_kills_or_fails_a_user_finds_the_old_state_or_the_new_one(zygote, tmp_path, name, step):
    prepared, outcome = prepare(name, tmp_path / "scratch", zygote), Outcome()
    chosen = points(prepared.calls)[3::step]
    interrupt(prepared, chosen, zygote, outcome)
    assert outcome.violations == []
    assert outcome.killed == sum(fault.kind == "KILL" for fault in chosen) > 0
    assert outcome.refused > 0


@pytest.mark.parametrize(("name", "every"), [("publish", 40), ("backup", 6)])
def test_whatever_a_power_cut_leaves_a_user_finds_the_old_state_or_the_new_one(zygote, tmp_path, name, every):
    prepared, outcome = prepare(name, tmp_path / "scratch", zygote), Outcome()
    cut_power(prepared, outcome, every=every)
    assert outcome.violations == []
    assert outcome.points > 4


@pytest.mark.parametrize("name", ["no flush of the manifest", "commit before the rename"])
def test_a_mistake_in_the_order_of_writes_is_noticed(zygote, tmp_path, name):
    mutant = MUTANTS[name]
    prepared, outcome = prepare(mutant.scenario, tmp_path / "scratch", zygote, name), Outcome()
    if mutant.seen_by == "power":
        cut_power(prepared, outcome, every=8, until_seen=True)
    else:
        last = [fault for fault in points(prepared.calls, ("KILL",)) if fault.call == "fsync"]
        interrupt(prepared, reversed(last), zygote, outcome, until_seen=True)
    assert outcome.violations


def test_an_error_that_is_none_of_cdmls_own_is_a_violation(zygote, tmp_path):
    name = "an error without a name"
    prepared, outcome = prepare("publish", tmp_path / "scratch", zygote, name), Outcome()
    flushes = [fault for fault in points(prepared.calls, ("EIO",)) if fault.call == "fsync"]
    interrupt(prepared, flushes[:1], zygote, outcome)
    (violation, *_) = outcome.violations
    assert "no error of cdml's own" in violation
