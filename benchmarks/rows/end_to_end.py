"""Five tasks of real photos, learned one after the other, against what one would write with Avalanche.

Ours is ``cdml init`` and ``cdml ingest-task`` for each task, with the default recipe and with ``--method
frozen``, which trains in the first task alone. Theirs is ``benchmarks.peers.avalanche_pml_faiss``: a strategy
of Avalanche, losses of pytorch-metric-learning, an index of FAISS. All take as many steps with as many
photos; after each task all are asked with every test photo so far, in the gallery of all tasks so far.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.photos import GROCERY_TASKS, deal_photos, shared_file
from benchmarks.side_by_side.rows import Answers, Arm, Row, Sizes, Target, Work

WEIGHTS = "weights/mobilenet_v2-imagenet1k.safetensors"
LEFT_OUT = 0.01
"""So large a share of the photos may be copies of others, which ours sets aside."""
EVERYTHING = ("--set", "streams.queries_per_category=1000000", "--set", "evaluation.earlier_queries=1000000")
"""Of an ingest: all photos held out are asked with, and all of earlier tasks again."""


def prepare(folder: Path, sizes: Sizes) -> None:
    """Deal the photos out to tasks."""
    deal_photos(folder, sizes["categories"], seed=sizes["seed"])


def ours(folder: Path, sizes: Sizes) -> Work:
    """The commands that a user types, each in a process of its own."""
    from benchmarks.processes import DONE, NOT_JUDGED, cdml
    from benchmarks.stage_seconds import stage_table

    parts: dict[str, dict[str, float]] = {}

    def learned() -> dict[str, Any]:
        parts.clear()
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            workspace = Path(scratch) / "workspace"
            where = ("-w", str(workspace))
            cdml("init", *where, "--weights", str(shared_file(WEIGHTS)), "--image-side", str(sizes["side"]))
            for number, task in enumerate(_tasks(folder)):
                steps = sizes["later_steps"] if number else sizes["first_steps"]
                options = ("--steps", str(steps), "--seed", str(sizes["seed"]), "--method", sizes["method"])
                ran = cdml(
                    "ingest-task", str(task), *where, *options, *EVERYTHING, *NOT_JUDGED, accepted=DONE
                )
                parts[f"task {number + 1}"] = {**ran.document["seconds"], "command": ran.clock}
            report = cdml("report", *where).document
        return {
            "last": report["recall_at_k"]["1"][-1],
            "queries": [task["query_images"] for task in report["tasks"]],
        }

    return replace(_work(learned), profile=lambda: stage_table(parts))


def theirs(folder: Path, sizes: Sizes) -> Work:
    """The script, in a process that has loaded its libraries already."""
    from benchmarks.peers.avalanche_pml_faiss import Recipe, learn

    recipe = Recipe(
        sizes["side"], sizes["first_steps"], sizes["later_steps"], sizes["seed"], fast=sizes["fast"]
    )

    tasks = _tasks(folder)

    def learned() -> dict[str, Any]:
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            matrix = learn(shared_file(WEIGHTS).resolve(), tasks, Path(scratch), recipe)
        return {
            "last": matrix[-1].tolist(),
            "queries": [len(list((task / "test").glob("*/*"))) for task in tasks],
        }

    return _work(learned)


def _tasks(folder: Path) -> list[Path]:
    return sorted((folder / "tasks").iterdir())


def _work(learned: Callable[[], dict[str, Any]]) -> Work:
    """Return work that tells the mean over tasks of the last row of Recall@1, in percent."""
    last: dict[str, float] = {}

    def run() -> dict[str, Any]:
        found = learned()
        last["recall_at_1"] = 100 * sum(found["last"]) / len(found["last"])
        return {"queries": found["queries"]}

    return Work(run, figures=lambda: last)


def as_many_queries(ours: Answers, theirs: Answers) -> str | None:
    """Compare how many photos each task was asked with; what was learned cannot be the same."""
    first, second = ours["queries"].astype(float), theirs["queries"].astype(float)
    if first.shape == second.shape and (abs(first - second) <= LEFT_OUT * second).all():
        return None
    return f"{first.tolist()} and {second.tolist()} queries were asked"


_FROZEN, _USUAL, _BEST = "ours, `--method frozen`", "script", "script, channels last and bf16"

ROWS = (
    Row(
        name="end_to_end",
        title="five tasks of photos, MobileNetV2 at 128 px",
        arms=(
            Arm("ours", f"{__name__}:ours", options={"method": "mutual-distillation"}),
            Arm(_FROZEN, f"{__name__}:ours", options={"method": "frozen"}),
            Arm(_USUAL, f"{__name__}:theirs", peer=True, options={"fast": False}),
            Arm(_BEST, f"{__name__}:theirs", peer=True, options={"fast": True}),
        ),
        targets=tuple(
            target
            for peer in (_USUAL, _BEST)
            for target in (
                Target(against=peer, at_least=2.0),
                Target("recall_at_1", against=peer, at_least=1.0, inverse=True),
                Target(of=_FROZEN, against=peer, at_least=2.0),
                Target("recall_at_1", of=_FROZEN, against=peer, at_least=1.0, inverse=True),
            )
        ),
        same=as_many_queries,
        prepare=prepare,
        sizes={
            "categories": GROCERY_TASKS,
            "side": 128,
            "first_steps": 200,
            "later_steps": 80,
            "seed": 0,
        },
        quick={"categories": [2, 2], "first_steps": 4, "later_steps": 3},
        rounds=2,
        again=False,
        long=True,
        limits=(
            "Four fifths of the time is learning, and most of a step is oneDNN's convolutions, which the "
            "script at its best settings runs in the same way, for one network. Ours trains two and asks the "
            "model before what it sees in each view, which is where its Recall@1 comes from. Tried: each "
            "network in a thread of its own, images one by one, reading while the networks work. `--method "
            "frozen`, which trains in the first task alone, meets the aim and retrieves better too."
        ),
    ),
)
