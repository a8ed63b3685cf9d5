"""``cdml refresh`` of a million items: vectors written, vectors computed, and what embedding anew would take.

Run ``python -m benchmarks.large_refresh --data grocery-160.zip --record``, then ``--render``. Ten tasks of
photos are ingested with the command line, old items left as they were. Their stored features are then
multiplied, with noise, to the wanted number of items, and the gallery is refreshed with ``cdml refresh
--refresh project``, in a process of its own whose peak memory the system tells, rolled back, and refreshed
again in the other way; each answer to a query must name the same ten items in the same order. What embedding
anew takes is measured before that, on the photos themselves. A million items want eight gigabytes of disk.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import processes
from benchmarks.documents import add_recording, append_result, read_results, replace_tables
from benchmarks.photos import deal_photos
from benchmarks.processes import Ran
from benchmarks.workspace_bytes import own_bytes
from cli.machine import environment
from continual_dml.memory.discriminant_head import unit_rows
from continual_dml.records import ADDED, NewItem, PartCount, Publication, Role
from continual_dml.workflows.gallery_files import StoredPart, items_file, stored_parts, vectors_file
from storage.store import WorkspaceStore
from storage.workspace import Workspace

RESULTS, DOCUMENT = Path("benchmarks/results/large_refresh.jsonl"), Path("docs/benchmarks.md")
TABLES = "large refresh"
TASKS, CATEGORIES, QUERIES = 10, 8, 20
BACKBONE, DIMENSION, SIDE = "resnet18", 128, 224
WRITTEN, COMPUTED = "vectors written", "vectors computed"
LIMITS = {WRITTEN: 2_000_000_000, COMPUTED: 0}
"""``write_vectors_up_to`` of either way."""
Run = Mapping[str, Any]


def cdml(home: Path, *arguments: str) -> Ran:
    """Run a command in the workspace of ``home``."""
    return processes.cdml(*arguments, "-w", str(home / "workspace"), accepted=processes.DONE)


def learned(home: Path, data: Path) -> list[Path]:
    """Make a workspace of ten tasks whose older items are stale; return photos to ask with."""
    folders = deal_photos(home, [CATEGORIES] * TASKS, data)
    model = ("--backbone", BACKBONE, "--weights", "none", "--embedding-dim", str(DIMENSION))
    cdml(home, "init", *model, "--image-side", str(SIDE), "--keep-generations", "4")
    batch = ("--batch-categories", str(CATEGORIES), "--images-per-category", "4", "--steps", "3")
    for folder in folders:
        done = cdml(home, "ingest-task", str(folder), *batch, *processes.NOT_JUDGED, "--refresh", "keep")
        print(f"{folder.name}: {done.clock:.0f} s", flush=True)
    photos = sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())
    return photos[:: max(1, len(photos) // QUERIES)][:QUERIES]


def embedded_anew(home: Path) -> dict[str, float]:
    """Return how long it takes to embed the photos of the nine older tasks anew, and go back."""
    done = cdml(home, "refresh", "--refresh", "reembed")
    stages = cdml(home, "report").document["seconds"]
    cdml(home, "rollback")
    return {"images": done.document["reembedded"], "seconds": stages["refresh"]}


def multiply(home: Path, items: int) -> None:
    """Publish a generation with ``items`` items in all: those that are there, and noisy copies of them."""
    with WorkspaceStore(Workspace.open(home / "workspace")) as store:
        head = store.head() or sys.exit("nothing was published")
        parent = store.open_generation(head)
        report, random = parent.read_json("report.json"), np.random.default_rng(0)
        parts, labels = list(stored_parts(parent, report)), store.gallery_labels()
        draft = store.begin("more items")
        new: list[NewItem] = []
        everything: list[tuple[np.ndarray, np.ndarray]] = []
        for part in parts:
            ids, features, vectors, rows = more(
                part, items // len(parts), draft.first_item_id + len(new), random
            )
            birth = part.birth_generation
            draft.write_tensors(items_file(birth), {"ids": ids, "features": features})
            draft.write_tensors(vectors_file(birth), {"vectors": vectors})
            everything.append((ids, vectors))
            categories = labels.categories[np.searchsorted(labels.ids, part.ids[rows])]
            new += [
                NewItem(int(i), int(category), Role.GALLERY, f"{i:064x}", f"/photos/{i}.jpg")
                for i, category in zip(ids[len(part.ids) :], categories, strict=True)
            ]
        draft.write_index(*(np.concatenate(column) for column in zip(*everything, strict=True)))
        changed = {"report.json", *parent.index_files}
        for part in parts:
            changed |= {items_file(part.birth_generation), vectors_file(part.birth_generation)}
        for name in parent.names():
            if name not in changed:
                draft.inherit(name)
        sizes = [{**part, "items": items // len(parts)} for part in report["parts"]]
        draft.write_json("report.json", {**report, "generation": draft.generation_id, "parts": sizes})
        counts = [PartCount(part.birth_generation, part.state, items // len(parts)) for part in parts]
        publication = Publication("more items", "/photos", ADDED, {}, new, [], counts, [])
        draft.publish_addition(publication, parent.config)


def more(
    part: StoredPart, wanted: int, first_id: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return ids, features and vectors of ``wanted`` items, the part's own first, and the rows copied."""
    rows = random.integers(0, len(part.ids), wanted - len(part.ids))
    factors = 1 + 0.2 * random.standard_normal((len(rows), part.features.shape[1]), dtype=np.float32)
    features = (part.features[rows] * factors).astype(np.float16)
    moved = part.vectors[rows] + 0.02 * random.standard_normal(
        (len(rows), part.vectors.shape[1]), dtype=np.float32
    )
    ids = np.concatenate([part.ids, np.arange(first_id, first_id + len(rows), dtype=np.int64)])
    return (
        ids,
        np.concatenate([part.features, features]),
        np.concatenate([part.vectors, unit_rows(moved.astype(np.float64))]),
        rows,
    )


def refreshed(home: Path, kind: str, photos: Sequence[Path]) -> tuple[dict[str, Any], list[list[int]]]:
    """Refresh in one of the two ways and go back; return what it took, and the items that queries found."""
    file = home / "workspace" / "cdml.toml"
    limit = f"write_vectors_up_to = {LIMITS[kind]}"
    file.write_text(re.sub(r"write_vectors_up_to = \d+", limit, file.read_text()))
    done = cdml(home, "refresh", "--refresh", "project", "--max-forgetting", "1")
    folder = home / "workspace" / "gen" / f"{done.document['generation']:08d}"
    written = own_bytes(folder)
    report = cdml(home, "report").document
    asked = cdml(home, "query", *map(str, photos), "-k", "10", "--no-threshold")
    answers = [[one["item_id"] for one in query["neighbours"]] for query in asked.document["queries"]]
    one = statistics.median(
        cdml(home, "query", str(photos[0]), "-k", "10", "--no-threshold").clock for _ in range(3)
    )
    cdml(home, "rollback")
    return {
        "seconds": done.clock,
        "processor_seconds": done.processor,
        "peak_mb": done.peak,
        "written_mb": written / 1e6,
        "stages": report["seconds"],
        "projected": done.document["gallery"]["projected"],
        "measured_queries": sum(task["query_images"] for task in report["tasks"]),
        "query_seconds": one,
    }, answers


def measured(home: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of all rounds."""
    photos = learned(home, options.data)
    anew = embedded_anew(home)
    print("embedded anew:", anew, flush=True)
    multiply(home, options.items)
    print(f"{options.items:,} items", flush=True)
    rounds: dict[str, list[dict[str, Any]]] = {WRITTEN: [], COMPUTED: []}
    answers: dict[str, list[list[int]]] = {}
    for _ in range(options.rounds):
        for kind, runs in rounds.items():
            figures, answers[kind] = refreshed(home, kind, photos)
            print(kind, figures, flush=True)
            runs.append(figures)
        if answers[WRITTEN] != answers[COMPUTED]:
            sys.exit("the two galleries give different items")
    return {"items": options.items, "anew": anew, "rounds": rounds, "queries": len(photos)}


def _whole(run: Run) -> float:
    return float(run["seconds"])


def _asking(run: Run) -> float:
    return float(run["stages"]["embed queries"] + run["stages"]["evaluate"])


def _unasked(run: Run) -> float:
    return _whole(run) - _asking(run)


def _core(run: Run) -> float:
    return float(run["stages"]["refresh"] + run["stages"]["write"])


ROWS: tuple[tuple[str, Callable[[Run], float], str], ...] = (
    ("`cdml refresh`, s", _whole, "{:.1f}"),
    ("- open the model, carry features, s", lambda run: run["stages"]["refresh"], "{:.1f}"),
    ("- write maps and norms, or vectors and index, s", lambda run: run["stages"]["write"], "{:.1f}"),
    ("- start, test, publish, s", lambda run: run["seconds"] - run["stages"]["total"], "{:.1f}"),
    ("- ask held-out photos, s", _asking, "{:.1f}"),
    ("without asking them, s", _unasked, "{:.1f}"),
    ("carry and write alone, s", _core, "{:.1f}"),
    ("processor time, s", lambda run: run["processor_seconds"], "{:.1f}"),
    ("peak memory, MB", lambda run: run["peak_mb"], "{:,.0f}"),
    ("MB written", lambda run: run["written_mb"], "{:,.1f}"),
    ("`cdml query` of one photo, s", lambda run: run["query_seconds"], "{:.2f}"),
)


def table(result: Mapping[str, Any]) -> str:
    """Return the table of one run."""
    versions = ", ".join(f"{name} {value}" for name, value in result["environment"].items())
    rounds: Mapping[str, Sequence[Run]] = result["rounds"]
    items, anew = result["items"], result["anew"]
    seconds = items * anew["seconds"] / anew["images"]
    asked = rounds[WRITTEN][0]["measured_queries"]
    lines = [
        f"{items:,} items of {TASKS} birth generations, features of {BACKBONE} (512), embeddings of "
        f"{DIMENSION}; medians of {len(rounds[WRITTEN])} rounds (all of them), ways alternating; {asked} "
        f"photos are held out. The ten best of {result['queries']} photos are the same, in the same "
        f"order. Machine and versions: {versions}.",
        "",
        f"| | {' | '.join(rounds)} |",
        "|---|---:|---:|",
    ]
    for name, figure, form in ROWS:
        cells = [_cell([figure(run) for run in runs], form) for runs in rounds.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    for name, part in (
        ("the whole command", _whole),
        ("it without asking", _unasked),
        ("carry and write", _core),
    ):
        factors = [seconds / statistics.median(map(part, runs)) for runs in rounds.values()]
        lines.append(f"| embedding anew, times {name} | {' | '.join(f'{one:,.0f}' for one in factors)} |")
    lines += [
        "",
        f"Embedding {anew['images']:,} photos anew at {SIDE} px took {anew['seconds']:.1f} s on the same "
        f"cores; at that rate {items:,} take {seconds:,.0f} s ({seconds / 3600:.1f} hours).",
    ]
    return "\n".join(lines)


def _cell(values: Sequence[float], form: str) -> str:
    every = ", ".join(form.format(value) for value in values)
    middle = form.format(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({every})"


def main(arguments: Sequence[str]) -> None:
    """Measure, or render what was measured."""
    shared = Path(os.environ.get("CDML_TEST_DATA", "."))
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large_refresh", description=__doc__)
    parser.add_argument("--data", type=Path, default=shared / "data/grocery-160.zip")
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where to put the workspace; a temporary one else")
    add_recording(parser, RESULTS, DOCUMENT)
    options = parser.parse_args(arguments)
    if options.render:
        replace_tables(DOCUMENT, TABLES, table(read_results(RESULTS)[-1]))
        return
    with tempfile.TemporaryDirectory(prefix="cdml-large-", dir=options.folder) as folder:
        result = {"environment": environment(), **measured(Path(folder), options)}
    print(table(result))
    if options.record:
        append_result(RESULTS, result)


if __name__ == "__main__":
    main(sys.argv[1:])
