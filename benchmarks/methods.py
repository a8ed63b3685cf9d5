"""All methods on three streams, and the recipe with parts removed: the tables of docs/benchmarks.md.

Run ``python -m benchmarks.methods omniglot``, ``glyphs``, ``grocery``, ``ablation-omniglot`` and so on. Each
comparison is one ``cdml benchmark`` command, which is printed; finished runs are kept in ``--runs`` and not
run again. ``--render docs/benchmarks.md`` puts the tables between the document's markers.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.documents import replace_tables
from benchmarks.method_tables import render

METHODS = (
    "mutual-distillation",
    "online-mutual-distillation",
    "online-mutual-distillation+objective.virtual=0",
    "mutual-distillation+model.cohort=2",
    "mutual-distillation+self_distillation.kind=psd",
    "mutual-distillation+self_distillation.kind=obd",
    "finetune",
    "frozen",
    "relation-distillation",
    "feature-distillation",
    "lwf",
    "mmd",
    "ewc",
    "si",
    "mas",
    "replay",
    "joint",
)
NO_MAP = "training.drift_strength=1e9"
"""Held to the identity so firmly that only the mean shift of all features is left of the drift map."""
REMOVED = (
    "objective.mutual=0",
    "objective.old_relations=0",
    "objective.anchor=0",
    "objective.virtual=1",
    "training.averaging=no",
    NO_MAP,
)
FROM_SCRATCH = ("training.smallest_share=0", "model.feature_map=sqrt")
PRETRAINED = ("training.smallest_share=0.5", "model.feature_map=plain")
"""What the default decides by whether the network is pretrained, the other way round."""
COHORT = (
    "model.cohort=2",
    "model.cohort=2+model.cohort_own_seeds=no",
    "model.cohort=2+cohort.own_views=no",
    "model.cohort=2+cohort.transfer=0",
    "model.cohort=2+cohort.peer_decay=0.99",
    "model.cohort=2+cohort.update_gap=1",
)
SELF = ("self_distillation.kind=psd", "self_distillation.kind=obd")
LOSSES = ("multi-similarity", "triplet")
STREAMS = ("omniglot", "glyphs", "grocery")


@dataclass(frozen=True)
class Comparison:
    """One command: which stream, which methods, with which options."""

    name: str
    stream: str
    methods: tuple[str, ...]
    options: tuple[str, ...] = ()


def comparisons() -> dict[str, Comparison]:
    """Return every comparison by name."""
    found = [Comparison(stream, stream, METHODS) for stream in STREAMS]
    for stream in STREAMS:
        for loss in LOSSES:
            name = f"ablation-{stream}-{loss}"
            found.append(Comparison(name, stream, ablation_of(stream), ("--loss", loss)))
    return {comparison.name: comparison for comparison in found}


def ablation_of(stream: str) -> tuple[str, ...]:
    """Return the recipe without each of its parts, and what cohorts and self-distillation add to the loss."""
    changes = (*REMOVED, *(PRETRAINED if stream == "grocery" else FROM_SCRATCH))
    return (
        "mutual-distillation",
        *(f"mutual-distillation+{change}" for change in changes),
        "finetune",
        *(f"finetune+{change}" for change in (*COHORT, *SELF)),
        "frozen",
    )


def main() -> None:
    """Run the asked comparisons and, if asked to, put their tables into a document."""
    options = _options()
    for name in options.comparisons:
        comparison = comparisons()[name]
        _run(comparison, options)
        results = options.results / name
        results.mkdir(parents=True, exist_ok=True)
        for file in ("runs.csv", "table.md"):
            shutil.copyfile(options.runs / name / file, results / file)
        if options.render is not None:
            tables = render(results, ablation=name.startswith("ablation"))
            replace_tables(options.render, name, tables)


def _run(comparison: Comparison, options: argparse.Namespace) -> None:
    files = {"omniglot": "data/omniglot-242.zip", "grocery": "data/grocery-160.zip"}
    command = [
        *(sys.executable, "-m", "cli.app", "benchmark", comparison.stream),
        *("--seeds", str(options.seeds), "--first-steps", "200", "--steps", "80"),
        *("--output", str(options.runs / comparison.name)),
        *("--methods", ",".join(comparison.methods)),
        *comparison.options,
    ]
    if comparison.stream in files:
        command += ["--data", str(options.data / files[comparison.stream])]
    if comparison.stream == "grocery":
        command += ["--weights", str(options.data / "weights/mobilenet_v2-imagenet1k.safetensors")]
        command += ["--image-side", str(options.grocery_side)]
    print(shlex.join(command), flush=True)
    done = subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
    if done.returncode:
        sys.exit(f"{comparison.name} ended with {done.returncode}")


def _options() -> argparse.Namespace:
    shared = Path(os.environ.get("CDML_TEST_DATA", "../shared"))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("comparisons", nargs="+", choices=list(comparisons()))
    parser.add_argument("--data", type=Path, default=shared, help="folder with data/ and weights/")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--grocery-side", type=int, default=128, help="side in pixels that the network sees")
    parser.add_argument("--runs", type=Path, default=Path("benchmarks/runs"))
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--render", type=Path, help="put each table into this document")
    return parser.parse_args()


if __name__ == "__main__":
    main()
