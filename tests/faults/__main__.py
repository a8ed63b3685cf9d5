"""Part of ``make faults``: every call of every scenario killed and failed, every power cut, every mutant.

Two processes share the work. What they find is added to a file of results, from which the tables of
``docs/reliability.md`` are made.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.documents import append_result, read_results, replace_tables
from cli.machine import environment
from tests.faults.campaign import Outcome, cut_power, interrupt, prepare
from tests.faults.mutants import MUTANTS
from tests.faults.system_calls import FAULTS, available, points
from tests.faults.whole_ingest import ALL_SCENARIOS
from tests.faults.zygote import Zygote

RESULTS, DOCUMENT = Path("benchmarks/results/faults.jsonl"), Path("docs/reliability.md")
TABLES = "faults"
POWER = "power cut"
_WHOLE = ("ingest",)
_MOST_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Job:
    """One scenario with one kind of interruption; with a mutant, until a violation is found."""

    scenario: str
    kind: str
    mutant: str | None = None


def all_jobs(scenarios: Sequence[str]) -> list[Job]:
    """Return all there is to do, the longest first."""
    kinds = (*FAULTS, POWER)
    jobs = [Job(name, kind) for name in scenarios for kind in kinds if name not in _WHOLE or kind != POWER]
    seen_by = {"crash": "KILL", "error": "EIO", "power": POWER}
    mutants = [Job(one.scenario, seen_by[one.seen_by], name) for name, one in MUTANTS.items()]
    longest_first = sorted(jobs, key=lambda job: job.scenario not in _WHOLE)
    return [*longest_first, *(job for job in mutants if job.scenario in scenarios)]


def run(job: Job) -> dict[str, Any]:
    """Do one job and return its line of results."""
    begin, outcome = time.perf_counter(), Outcome()
    until_seen = job.mutant is not None
    with tempfile.TemporaryDirectory() as scratch, Zygote(trains=job.scenario in _WHOLE) as zygote:
        prepared = prepare(job.scenario, Path(scratch) / "scratch", zygote, job.mutant)
        if job.kind == POWER:
            cut_power(prepared, outcome, until_seen=until_seen)
        else:
            faults = points(prepared.calls, (job.kind,))
            interrupt(prepared, faults, zygote, outcome, until_seen=until_seen)
    seconds = round(time.perf_counter() - begin, 1)
    return {**asdict(job), **asdict(outcome), "seconds": seconds}


def main(arguments: Sequence[str]) -> int:
    """Run it all; returns 1 where something was violated or a mutant was not noticed."""
    options = _parser().parse_args(arguments)
    unknown = sorted(set(options.scenarios) - set(ALL_SCENARIOS))
    if unknown:
        print(f"unknown scenario {unknown[0]}: choose of {', '.join(ALL_SCENARIOS)}", file=sys.stderr)
        return 2
    if not available():
        print("strace is not here: install it to have calls to the system fail", file=sys.stderr)
        return 2
    if options.render:
        replace_tables(DOCUMENT, TABLES, rendered(read_results(RESULTS)[-1]))
        return 0
    with ProcessPoolExecutor(options.processes) as pool:
        running = [pool.submit(run, job) for job in all_jobs(options.scenarios or list(ALL_SCENARIOS))]
        lines = [_told(done.result()) for done in as_completed(running)]
    bad = [line for line in lines if bool(line["violations"]) != bool(line["mutant"])]
    for line in bad:
        print(f"BAD: {line['scenario']}, {line['kind']}, mutant {line['mutant']}", file=sys.stderr)
        print(*line["violations"][:_MOST_SHOWN], sep="\n", file=sys.stderr)
    if options.record:
        for line in lines:
            line["violations"] = len(line["violations"])
        in_order = sorted(lines, key=lambda line: (line["mutant"] or "", line["scenario"], line["kind"]))
        append_result(RESULTS, {"environment": environment(), "lines": in_order})
    return 1 if bad else 0


def rendered(result: dict[str, Any]) -> str:
    """Return the tables of one whole run."""
    lines = result["lines"]
    plain = [line for line in lines if line["mutant"] is None]
    rows = [_row(name, [line for line in plain if line["scenario"] == name]) for name in ALL_SCENARIOS]
    rows.append(_row("**all**", plain))
    mutants = [
        f"| {line['mutant']} | {line['scenario']}, {line['kind']} | {line['points']} |"
        for line in lines
        if line["mutant"] is not None and line["violations"]
    ]
    unseen = [line["mutant"] for line in lines if line["mutant"] is not None and not line["violations"]]
    versions = ", ".join(f"{name} {value}" for name, value in result["environment"].items())
    head = ["scenario", *FAULTS, POWER, "acknowledged", "violations"]
    return "\n".join([
        f"Machine and versions: {versions}.", "",
        f"| {' | '.join(head)} |", f"|---|{'---:|' * (len(head) - 1)}", *rows, "",
        f"Mistakes noticed: {len(mutants)} of {len(mutants) + len(unseen)}"
        f"{'; not noticed: ' + ', '.join(unseen) if unseen else ''}.", "",
        "| mistake | noticed in | points until then |", "|---|---|---:|", *mutants,
    ])  # fmt: skip


def _row(name: str, lines: Sequence[dict[str, Any]]) -> str:
    counts = [sum(line["points"] for line in lines if line["kind"] == kind) for kind in (*FAULTS, POWER)]
    sums = [sum(line[key] for line in lines) for key in ("acknowledged", "violations")]
    cells = [name, *(f"{count:,}" if count else "-" for count in counts), *map(str, sums)]
    return f"| {' | '.join(cells)} |"


def _told(line: dict[str, Any]) -> dict[str, Any]:
    what = f"{line['scenario']}, {line['kind']}" + (f", mutant '{line['mutant']}'" if line["mutant"] else "")
    print(
        f"{what}: {line['points']} points, {len(line['violations'])} violations, {line['seconds']:.0f} s",
        flush=True,
    )
    return line


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    named = f"of {', '.join(ALL_SCENARIOS)}; all unless some are named"
    parser.add_argument("scenarios", nargs="*", help=named)
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--record", action="store_true", help=f"add what was found to {RESULTS}")
    parser.add_argument("--render", action="store_true", help=f"put the last results into {DOCUMENT}")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
