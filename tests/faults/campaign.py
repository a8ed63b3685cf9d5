"""Runs a scenario with every fault, or over every power cut, and collects what goes wrong."""

from __future__ import annotations

import shutil
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults import oracle
from tests.faults.disk_model import Disk, digest, write_out
from tests.faults.system_calls import Call, Fault, read_log, tracing
from tests.faults.whole_ingest import ALL_SCENARIOS
from tests.faults.zygote import ACKNOWLEDGED, Ended, Zygote


@dataclass(slots=True)
class Outcome:
    """How many points were tried and states judged, and the violations found, one line each."""

    points: int = 0
    refused: int = 0
    acknowledged: int = 0
    killed: int = 0
    violations: list[str] = field(default_factory=list)

    def count(self, ended: Ended) -> None:
        """Count one point by how it ended."""
        self.points += 1
        self.acknowledged += ended.acknowledged
        self.killed += ended.code < 0
        self.refused += ended.code > 0


@dataclass(slots=True)
class Prepared:
    """A scenario ready to be interrupted: its template, its calls, and the two states that are allowed."""

    name: str
    mutant: str | None
    template: Path
    calls: list[Call]
    before: Hashable
    after: Hashable
    scratch: Path

    def fresh(self) -> Path:
        """Return a copy of the template at the path that the calls were recorded in."""
        folder = self.scratch / "case"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.template, folder, symlinks=True)
        return folder


def prepare(name: str, scratch: Path, zygote: Zygote, mutant: str | None = None) -> Prepared:
    """Make the template of a scenario and record one run without a fault."""
    scratch.mkdir(parents=True)
    template, folder, log = scratch / "template", scratch / "case", scratch / "calls.log"
    scenario = ALL_SCENARIOS[name]
    folder.mkdir()
    scenario.prepare(folder)
    shutil.copytree(folder, template)
    before = scenario.look(folder)
    prepared = Prepared(name, mutant, template, [], before, None, scratch)
    ended = zygote.run(name, prepared.fresh(), tracing(log), mutant)
    if ended.code != ACKNOWLEDGED:
        raise RuntimeError(f"{name} fails without any fault: {ended.message}")
    prepared.calls = read_log(log)
    prepared.after = scenario.look(folder)
    log.unlink()
    return prepared


def interrupt(
    prepared: Prepared,
    faults: Iterable[Fault],
    zygote: Zygote,
    outcome: Outcome,
    *,
    until_seen: bool = False,
) -> None:
    """Let each fault strike once, and judge what it leaves; ``until_seen`` a violation."""
    for fault in faults:
        folder = prepared.fresh()
        ended = zygote.run(prepared.name, folder, fault.options(), prepared.mutant)
        outcome.count(ended)
        where = f"{prepared.name}, {fault.kind} at {fault.call} {fault.nth}"
        if ended.unexpected:
            outcome.violations.append(f"{where}: no error of cdml's own: {ended.message[-600:]}")
        outcome.violations += _judged(prepared, where, folder, acknowledged=ended.acknowledged)
        if until_seen and outcome.violations:
            return


def cut_power(prepared: Prepared, outcome: Outcome, *, every: int = 1, until_seen: bool = False) -> None:
    """After each call, judge every state in which the disk can survive a power cut.

    Args:
        prepared: the scenario.
        outcome: where to count.
        every: look after every so many calls, and after the last one.
        until_seen: whether the first violation is enough.
    """
    disk, seen = Disk(prepared.fresh()), set()
    changing = [call for call in prepared.calls if disk.apply(call)]
    disk = Disk(prepared.fresh())
    for number, call in enumerate(changing, 1):
        disk.apply(call)
        finished = number == len(changing)
        if not finished and number % every:
            continue
        for survival, state in disk.states():
            known = digest(state)
            if (known, finished) in seen:
                continue
            seen.add((known, finished))
            folder = prepared.scratch / "case"
            shutil.rmtree(folder)
            write_out(state, folder)
            outcome.points += 1
            where = f"{prepared.name}, power cut after call {number} ({call.name}), {survival}"
            outcome.violations += _judged(prepared, where, folder, acknowledged=finished)
            if until_seen and outcome.violations:
                return


def _judged(prepared: Prepared, where: str, folder: Path, *, acknowledged: bool) -> list[str]:
    found = oracle.violations(
        prepared.name, folder, prepared.before, prepared.after, acknowledged=acknowledged
    )
    return [f"{where}: {violation}" for violation in found]
