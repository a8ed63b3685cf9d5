"""What a cohort and self-distillation add to the time of training.

Run ``python -m benchmarks.step_cost`` on an otherwise idle machine. Two ways to train are compared in one
process on one number of threads: a round runs A, B, B, A, and its ratio is the time of both B over that of
both A, so that a machine that becomes steadily slower favours neither. The base is the cheapest step there
is, one network with its metric loss alone, so that whatever is added shows most.

A run takes a few steps that are not counted, in which the teachers come to be. In the counted steps the
earlier self is renewed every third step, which is more often than the default of once per pass.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.documents import append_result, read_results, replace_tables
from benchmarks.step_cost_tables import render, row
from cli.machine import environment
from continual_dml.embedding.cohort import Weights, build_member
from continual_dml.embedding.precision import Compute, choose_compute
from continual_dml.embedding.weights import read_weights_file
from continual_dml.ports import SilentListener
from continual_dml.records import LabelledImages
from continual_dml.settings import CohortSettings, ModelSettings, SelfDistillationSettings, TrainingSettings
from continual_dml.strategies.hooks import StepHooks
from continual_dml.strategies.job import TrainingJob
from continual_dml.strategies.members import Member
from continual_dml.strategies.recipes import Recipe
from continual_dml.strategies.training import train

UNCOUNTED_STEPS = 3  # the first period, in which the earlier self is not there yet
CATEGORIES, IMAGES_PER_CATEGORY = 20, 12  # of the task; a batch has 15 x 4 of them
TABLES = "step cost"
SIDES = {"mobilenet_v2": 128, "conv4": 32}


@dataclass(frozen=True)
class Arm:
    """One way to train: how many members, how slow their peers are, and what the earlier self teaches."""

    members: int = 1
    peer_decay: float = 0.0
    distillation: str = "none"
    teacher: str = "memory"

    @property
    def terms(self) -> set[str]:
        """Names of the loss terms that this arm must have computed."""
        cohort = {"cohort"} if self.members > 1 else set()
        return {"metric"} | cohort | (set() if self.distillation == "none" else {"self_distillation"})

    def settings(self, steps: int) -> TrainingSettings:
        """Return the settings of ``steps`` optimisation steps with 60 images each."""
        return TrainingSettings(
            method="finetune",
            steps=steps,
            cohort=CohortSettings(own_views=True, peer_decay=self.peer_decay),
            self_distillation=SelfDistillationSettings(
                kind=self.distillation, teacher=self.teacher, renew_steps=UNCOUNTED_STEPS
            ),
        )


@dataclass(frozen=True)
class Comparison:
    """How much longer ``second`` takes than ``first``; ``aim`` is the ratio that should not be exceeded."""

    first: Arm
    second: Arm
    aim: float | None = None


ONE = Arm()
COMPARISONS = {
    "one member, against itself (A/A)": Comparison(ONE, ONE),
    "cohort of 2, own views": Comparison(ONE, Arm(members=2), 2.2),
    "cohort of 2, own views, slow peers": Comparison(ONE, Arm(members=2, peer_decay=0.99), 2.2),
    "psd, memory": Comparison(ONE, Arm(distillation="psd"), 1.05),
    "obd, memory": Comparison(ONE, Arm(distillation="obd"), 1.05),
    "psd, snapshot": Comparison(ONE, Arm(distillation="psd", teacher="snapshot")),
    "obd, snapshot": Comparison(ONE, Arm(distillation="obd", teacher="snapshot")),
    "obd against psd, memory": Comparison(Arm(distillation="psd"), Arm(distillation="obd")),
}


@dataclass(frozen=True)
class Timing:
    """Seconds of the counted steps by the clock and of the processor, and the mean of each loss term."""

    wall: float
    cpu: float
    terms: dict[str, float]


class _Clock(StepHooks):
    """Notes both clocks after each optimisation step."""

    def __init__(self) -> None:
        self.wall: list[float] = []
        self.cpu: list[float] = []

    def after_update(self) -> bool:
        self.wall.append(time.perf_counter())
        self.cpu.append(time.process_time())
        return True


@dataclass(frozen=True)
class Bench:
    """Everything that both sides of a comparison share."""

    model: ModelSettings
    weights: Weights | None
    images: LabelledImages
    compute: Compute
    steps: int

    def time(self, arm: Arm) -> Timing:
        """Train new networks, always the same ones, as ``arm`` says; stop where it did something else."""
        model = replace(self.model, cohort=arm.members)
        members = tuple(Member(build_member(model, self.weights, m, seed=0)) for m in range(arm.members))
        settings = arm.settings(UNCOUNTED_STEPS + self.steps)
        job = TrainingJob("step cost", members, self.images, Recipe(), settings, seed=0)
        begun = [member.model.projection.weight.detach().clone() for member in members]
        clock = _Clock()
        gc.collect()  # no run pays for what another left behind
        terms = train(job, self.compute, SilentListener(), clock)
        moved = [not torch.equal(b, m.model.projection.weight) for b, m in zip(begun, members, strict=True)]
        if set(terms) != arm.terms or not all(terms.values()) or not all(moved):
            sys.exit(f"{arm} computed {terms} and moved its members {moved}: this is not what is to be timed")
        start = UNCOUNTED_STEPS - 1
        return Timing(clock.wall[-1] - clock.wall[start], clock.cpu[-1] - clock.cpu[start], terms)

    def check(self, arms: Iterable[Arm]) -> None:
        """Run each arm once; stop where two different ones had the same losses, so that one did nothing."""
        seen: dict[tuple[float, ...], Arm] = {}
        for arm in dict.fromkeys(arms):
            values = tuple(self.time(arm).terms.values())
            if values in seen:
                sys.exit(f"{arm} and {seen[values]} had the same losses {values}: one of them did nothing")
            seen[values] = arm

    def compare(self, comparison: Comparison, rounds: int) -> dict[str, Any]:
        """Return wall and processor seconds, (rounds, 4) in the order A B B A, after a warm-up of each."""
        first, second = comparison.first, comparison.second
        terms = [self.time(arm).terms for arm in (first, second)]
        if first == second and terms[0] != terms[1]:
            sys.exit(f"{first} computed {terms[0]}, then {terms[1]}: its two sides are not the same work")
        timings = [[self.time(arm) for arm in (first, second, second, first)] for _ in range(rounds)]
        return {
            "terms": terms,
            "wall": [[timing.wall for timing in four] for four in timings],
            "cpu": [[timing.cpu for timing in four] for four in timings],
        }


def images_of(side: int) -> LabelledImages:
    """Return a task of noisy mosaics, one pattern for each category, as squares of ``side`` pixels."""
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(CATEGORIES, dtype=np.int64), IMAGES_PER_CATEGORY)
    tiles = np.arange(side) * 4 // side
    mosaics = random.integers(40, 216, (CATEGORIES, 4, 4, 3))[:, tiles][:, :, tiles]
    noise = random.integers(-40, 40, (len(labels), side, side, 3))
    return LabelledImages((mosaics[labels] + noise).astype(np.uint8), labels)


def main() -> None:
    """Measure the asked comparisons, or render what has been measured."""
    options = _options()
    if options.render is not None:
        replace_tables(options.render, TABLES, render(read_results(options.results)))
        return
    torch.set_num_threads(options.threads)
    compute = choose_compute("cpu", "auto")
    for backbone in options.backbones:
        weights, kind = _weights(backbone, options.weights)
        model = ModelSettings(
            backbone=backbone, pretrained=weights is not None, image_side_pixels=SIDES[backbone]
        )
        bench = Bench(model, weights, images_of(model.stored_side_pixels), compute, options.steps)
        conditions = {"side": SIDES[backbone], "weights": kind, "bf16": compute.bf16, "steps": options.steps}
        asked = [COMPARISONS[name] for name in options.comparisons]
        bench.check(arm for comparison in asked for arm in (comparison.first, comparison.second))
        for name in options.comparisons:
            comparison = COMPARISONS[name]
            result = {
                "backbone": backbone,
                "comparison": name,
                "aim": comparison.aim,
                **conditions,
                "threads": options.threads,
                **bench.compare(comparison, options.rounds),
                "environment": environment(),
            }
            append_result(options.results, result)
            print(backbone, row(result), flush=True)


def _weights(backbone: str, path: Path) -> tuple[Weights | None, str]:
    """Return pretrained weights where this network has them, and what is to be said of them."""
    if backbone == "conv4":
        return None, "random"
    if not path.is_file():
        print(f"no weights at {path}: {backbone} gets random ones, and its batch norm is trained")
        return None, "random"
    return read_weights_file(path), "ImageNet"


def _options() -> argparse.Namespace:
    shared = Path(os.environ.get("CDML_TEST_DATA", "../shared"))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=12, help="counted optimisation steps of a run")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--backbones", nargs="+", choices=list(SIDES), default=list(SIDES))
    parser.add_argument("--comparisons", nargs="+", choices=list(COMPARISONS), default=list(COMPARISONS))
    parser.add_argument(
        "--weights", type=Path, default=shared / "weights/mobilenet_v2-imagenet1k.safetensors"
    )
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results/step_cost.jsonl"))
    parser.add_argument("--render", type=Path, help="put the table of --results into this document and stop")
    return parser.parse_args()


if __name__ == "__main__":
    main()
