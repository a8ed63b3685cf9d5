"""One writer and three readers at once on one workspace, left alone or killed at random, and an oracle.

``python -m tests.faults.traffic --seconds 60`` lets them be; with ``--kill`` the writer, and now and then a
reader, is killed without warning and started again. The oracle knows what was acknowledged: after each kill
the workspace must hold that, or that and the one operation under way; no item may be missing, twice there,
unknown or changed, and what lies on the disk must stay bounded.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.documents import append_result, read_results, replace_tables
from cli.machine import environment
from continual_dml.records import Role
from storage.store import WorkspaceStore
from storage.summary import bytes_below
from storage.verification import verify
from storage.workspace import Workspace
from tests.faults.oracle import lying_around
from tests.faults.scenarios import QUIET, tiny_contents
from tests.faults.traffic_child import BASE
from tests.storage.tiny_tasks import SMALL, image_file, publish_task

RESULTS, DOCUMENT = Path("benchmarks/results/traffic.jsonl"), Path("docs/reliability.md")
READERS = ("following", "anew", "anew")
KEPT = 3
_STARTING_SECONDS = 60.0
_LONGEST_LIFE = 1.5


@dataclass(slots=True)
class Report:
    """What happened: operations acknowledged by kind, kills, times of answers, and what went wrong."""

    seconds: float = 0.0
    operations: Counter[str] = field(default_factory=Counter)
    writers_killed: int = 0
    readers_killed: int = 0
    milliseconds: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in READERS})
    failed: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    most_bytes: int = 0

    def add(self, violations: Sequence[str]) -> None:
        """Take in violations, and tell them at once."""
        self.violations += violations
        for one in violations:
            print(f"violation: {one}", file=sys.stderr, flush=True)

    def as_line(self) -> dict[str, Any]:
        """Return it without the single times."""
        times = {kind: _percentiles(found) for kind, found in self.milliseconds.items() if found}
        counts = {"failed": len(self.failed), "violations": len(self.violations)}
        return {**asdict(self), **counts, "milliseconds": times, "operations": dict(self.operations)}


class Model:
    """What must be in the workspace: for every generation its tasks, and which one is live."""

    def __init__(self, head: int, tasks: tuple[str, ...]) -> None:
        self.head = head
        self._tasks = {head: tasks}
        self._pending: dict[str, Any] | None = None
        self._in_doubt: dict[str, Any] | None = None

    def hear(self, line: dict[str, Any]) -> str | None:
        """Take in what a writer tells; returns the operation that it has acknowledged.

        What a writer sees live, once it has recovered, settles whether the last one's operation happened.
        Until then it may come to light later than at the first look: a commit that was killed while its log
        was flushed is not seen by whoever has the database open with others, and is by who opens it first.
        """
        if "live" in line:
            if line["live"] != self.head:
                self._happened(self._in_doubt, line["live"])
            self._in_doubt = None
        elif "begin" in line:
            self._pending = line
        elif "done" in line:
            self._happened(self._pending, line.get("generation"))
            self._pending = None
            return str(line["done"])
        return None

    def compare(self, root: Path) -> list[str]:
        """Say how the workspace differs from what was acknowledged; the operation under way may be there."""
        try:
            number, tasks, items, _ = tiny_contents(root)  # type: ignore[misc]
        except Exception as error:  # noqa: BLE001 - whatever it is, the workspace cannot be read
            return [f"cannot be read: {type(error).__name__}: {error}"]
        self._in_doubt, self._pending = self._pending or self._in_doubt, None
        if number != self.head:
            self._happened(self._in_doubt, number)
            self._in_doubt = None
        expected = self._tasks.get(number)
        if number != self.head or tasks != expected:
            return [f"generation {number} holds {tasks}, not {expected} of {self.head}"]
        found = Counter((category, content) for _, category, content in items)
        wanted = Counter((task, content) for task in tasks for content in hashes_of(task))
        wrong = [f"missing {wanted - found}"] if wanted - found else []
        return wrong + ([f"phantom or twice {found - wanted}"] if found - wanted else [])

    def _happened(self, operation: dict[str, Any] | None, generation: int | None) -> None:
        """Let an operation have happened, with the generation that it made live."""
        if operation is None or generation is None:
            return
        if operation["begin"] == "publish":
            self._tasks[generation] = (*self._tasks[self.head], operation["task"])
            self.head = generation
        elif operation["begin"] == "rollback" and operation["generation"] == generation:
            self.head = generation


def hashes_of(task: str) -> list[str]:
    """Return the hashes of the gallery images of a tiny task."""
    import hashlib

    return [hashlib.sha256(f"image {task}-{number}.png".encode()).hexdigest() for number in range(3)]


class Child:
    """A process and the lines that it tells, taken in by a thread."""

    def __init__(self, role: str, root: Path, images: Path, seed: int) -> None:
        home = Path(__file__).parents[2]
        self.role = role
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.traffic_child", role, str(root), str(images), str(seed)],
            cwd=home,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(home)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[dict[str, Any]] = []
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()
        if not self._ready.wait(_STARTING_SECONDS):
            self.end(signal.SIGKILL)
            raise RuntimeError(f"the {role} does not start")

    def end(self, number: signal.Signals) -> str:
        """Send a signal, wait until it is over, and return what it wrote to stderr."""
        self._process.send_signal(number)
        self._thread.join()
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        said = self._process.stderr.read()
        self._process.wait()
        self._process.stdout.close()
        self._process.stderr.close()
        return said

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for text in self._process.stdout:
            if text.endswith("\n"):  # a killed process may leave half a line
                self.lines.append(json.loads(text))
                self._ready.set()
        self._ready.set()


def run(folder: Path, seconds: float, *, kill: bool, seed: int = 0) -> Report:
    """Let the traffic run in ``folder`` and return what came of it."""
    workspace, images = _workspace(folder), folder / "images"
    model, report, choose = Model(1, ("first",)), Report(), random.Random(seed)
    begin = time.monotonic()
    readers = [Child(kind, workspace.root, images, choose.getrandbits(32)) for kind in READERS]
    with ExitStack() as running:
        for place in range(len(readers)):
            running.callback(lambda place=place: _take_in_answers(readers[place], report, signal.SIGTERM))
        while (left := _left(begin, seconds, report)) > 0:
            writer = Child("writer", workspace.root, images, choose.getrandbits(32))
            time.sleep(min(left, choose.uniform(0, _LONGEST_LIFE)) if kill else left)
            said = writer.end(signal.SIGKILL)
            report.writers_killed += kill
            if said:
                report.add([f"the writer failed: {said[-600:]}"])
            acknowledged = [model.hear(line) for line in writer.lines]
            report.operations.update(one for one in acknowledged if one)
            report.add(model.compare(workspace.root))
            report.most_bytes = max(report.most_bytes, bytes_below(workspace.root))
            if kill and choose.random() < 0.2:
                place = choose.randrange(len(readers))
                _take_in_answers(readers[place], report, signal.SIGKILL)
                report.readers_killed += 1
                readers[place] = Child(READERS[place], workspace.root, images, choose.getrandbits(32))
    report.seconds = round(time.monotonic() - begin, 1)
    with WorkspaceStore(workspace) as store:
        report.violations += store.warnings
    report.violations += [*lying_around(workspace), *verify(workspace, deep=True, listener=QUIET).problems]
    report.violations += model.compare(workspace.root)
    return report


def _left(begin: float, seconds: float, report: Report) -> float:
    """Return how long it still goes on: on a slow machine until something was published, within reason."""
    elapsed = time.monotonic() - begin
    return seconds - elapsed if report.operations["publish"] or elapsed > 10 * seconds else seconds


def _workspace(folder: Path) -> Workspace:
    workspace = Workspace.create(folder / "workspace", SMALL, keep_generations=KEPT)
    for number, role in enumerate((*[Role.GALLERY] * 3, Role.QUERY)):
        image_file(folder / "images", f"first-{number}.png", role, "first")
    with WorkspaceStore(workspace) as store:
        store.tag(BASE, publish_task(store, "first", folder / "images").generation_id)
    return workspace


def _take_in_answers(reader: Child, report: Report, number: signal.Signals) -> None:
    said = reader.end(number)
    if said:
        report.failed.append(f"a reader ended: {said[-600:]}")
    for line in reader.lines:
        report.milliseconds[reader.role] += line.get("milliseconds", [])
        report.failed += [line["failed"]] if "failed" in line else []


def _percentiles(found: Sequence[float]) -> dict[str, float]:
    low, middle, high = np.percentile(found, [50, 95, 99])
    return {"answers": len(found), "p50": round(low, 1), "p95": round(middle, 1), "p99": round(high, 1),
            "max": round(max(found), 1)}  # fmt: skip


def rendered(line: dict[str, Any]) -> str:
    """Return the table of one run."""
    versions = ", ".join(f"{name} {value}" for name, value in line["environment"].items())
    operations = ", ".join(f"{count:,} x {name}" for name, count in sorted(line["operations"].items()))
    answers = [
        f"| {kind} | {one['answers']:,} | {one['p50']} | {one['p95']} | {one['p99']} | {one['max']} |"
        for kind, one in line["milliseconds"].items()
    ]
    what = (
        f"{line['seconds']:.0f} s; acknowledged: {operations}. Writers killed: {line['writers_killed']:,}, "
        f"readers killed: {line['readers_killed']:,}. Failed queries: **{line['failed']}**. "
        f"Violations: **{line['violations']}**. "
        f"The workspace was never above {line['most_bytes'] / 1e6:.2f} MB. {versions}."
    )
    head = "| reader | answers | p50, ms | p95 | p99 | longest |"
    return "\n".join([what, "", head, "|---|---:|---:|---:|---:|---:|", *answers])


def main(arguments: Sequence[str]) -> int:
    """Run it; returns 1 where anything went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.traffic", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--kill", action="store_true", help="kill writer and readers at random")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--record", action="store_true", help=f"add what was found to {RESULTS}")
    parser.add_argument("--render", action="store_true", help=f"put the last results into {DOCUMENT}")
    options = parser.parse_args(arguments)
    if options.render:
        for killed, name in ((False, "traffic"), (True, "kills")):
            last = [line for line in read_results(RESULTS) if line["kill"] is killed][-1]
            replace_tables(DOCUMENT, name, rendered(last))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        report = run(Path(folder), options.seconds, kill=options.kill, seed=options.seed)
    line = {"environment": environment(), "kill": options.kill, "seed": options.seed, **report.as_line()}
    print(rendered(line))
    print(*report.failed[:10], *report.violations[:10], sep="\n", file=sys.stderr)
    if options.record:
        append_result(RESULTS, line)
    return 1 if report.failed or report.violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
