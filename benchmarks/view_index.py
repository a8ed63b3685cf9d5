"""What it costs that a model moves: vectors and index written again, against maps and norms alone.

Run ``python -m benchmarks.view_index``: one workspace of items from ten birth generations, whose features lie
around 2,000 centres. Two generations follow the first one and carry every item forward by the same maps,
through the store as an ingest does: one writes all vectors and an index of them, one writes a view. Both must
then give the same ten best items to every query; searches of both alternate. A million items want three
gigabytes of memory and five of disk.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.documents import add_recording, append_result, read_results, replace_tables
from benchmarks.workspace_bytes import own_bytes
from cli.machine import environment
from continual_dml.memory.discriminant_head import DiscriminantHead
from continual_dml.memory.drift import AffineMap
from continual_dml.memory.feature_views import FeatureView
from continual_dml.records import Deletion, Generation, NewItem, PartCount, Publication, Role, VectorState
from continual_dml.settings import Settings
from continual_dml.workflows.gallery_files import items_file, vectors_file, write_views
from storage import proven_files
from storage.draft import PublishingDraft
from storage.index.stored import StoredIndex
from storage.store import WorkspaceStore
from storage.workspace import Workspace

RESULTS, DOCUMENT = Path("benchmarks/results/view_index.jsonl"), Path("docs/benchmarks.md")
TABLES = "view-index"
CENTRES, BIRTHS, QUERIES, K = 2_000, 10, 50, 10
FLAT, VIEW = "flat, all vectors written", "flat, computed from features"
Births = dict[int, FeatureView]


def moved_model(width: int, dimension: int, centres: NDArray[np.float32]) -> Births:
    """Return how a model that has moved after each birth generation sees the features of each."""
    random = np.random.default_rng(1)
    head = DiscriminantHead(random.normal(size=(width, dimension)), centres.mean(axis=0).astype(np.float64))
    drifts = (
        AffineMap(np.eye(width) + 0.05 * random.normal(size=(width, width)) / width**0.5, np.zeros(width))
        for _ in range(BIRTHS)
    )
    return {birth: FeatureView.of(head.affine.after(drift)) for birth, drift in enumerate(drifts, 1)}


def some_features(
    random: np.random.Generator, centres: NDArray[np.float32], count: int
) -> NDArray[np.float16]:
    """Return features (n, F) as a network gives them: none below zero, around the centres."""
    chosen = centres[random.integers(0, len(centres), count)]
    spread = random.standard_normal(chosen.shape, dtype=np.float32)
    return np.maximum(chosen + 0.5 * spread, 0.0).astype(np.float16)


def first_generation(
    store: WorkspaceStore, items: int, centres: NDArray[np.float32], views: Births
) -> Generation:
    """Publish features of ten births at once, and a view of them, so that there is something to refresh."""
    draft, random, each = store.begin("first"), np.random.default_rng(0), items // BIRTHS
    for birth in views:
        ids = np.arange(1 + (birth - 1) * each, 1 + birth * each, dtype=np.int64)
        draft.write_tensors(items_file(birth), {"ids": ids, "features": some_features(random, centres, each)})
    write_views(draft, views)
    new = [
        NewItem(n, 1, Role.GALLERY, f"{n:064x}", f"/images/category/{n}.jpg")
        for n in range(1, 1 + each * BIRTHS)
    ]
    return draft.publish(
        Publication("first", "/images", "finetune", {1: "category"}, new, [], counts(items), []), {}
    )


def counts(items: int) -> list[PartCount]:
    """Return what the catalogue is told of the gallery."""
    return [PartCount(birth, VectorState.PROJECTED, items // BIRTHS) for birth in range(1, 1 + BIRTHS)]


def write_vectors(draft: PublishingDraft, views: Births, features: Callable[[int], dict[str, Any]]) -> None:
    """Carry every item forward and write what comes of it."""
    ids, vectors = [], []
    for birth, view in views.items():
        items = features(birth)
        ids.append(items["ids"])
        vectors.append(view(items["features"]))
        draft.write_tensors(vectors_file(birth), {"vectors": vectors[-1]})
    draft.write_index(np.concatenate(ids), np.concatenate(vectors))


def write_norms(draft: PublishingDraft, views: Births, features: Callable[[int], dict[str, Any]]) -> None:
    """Write how every item is carried forward."""
    del features  # the store reads them where they lie
    write_views(draft, views)


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds on the clock and seconds of the processor, which do not count what other programs take."""

    clock: float
    processor: float


def taken(action: Callable[[], object]) -> Taken:
    """Return how long ``action`` takes."""
    clock, processor = time.perf_counter(), time.process_time()
    action()
    return Taken(time.perf_counter() - clock, time.process_time() - processor)


def refreshed(
    store: WorkspaceStore, items: int, views: Births, kind: str
) -> tuple[Generation, dict[str, Any]]:
    """Publish a generation whose items are the first one's, carried forward, and tell what that took."""
    first = store.open_generation(store.head() or sys.exit("nothing was published"))
    write = write_vectors if kind == FLAT else write_norms
    draft = store.begin("refresh")
    published: list[Generation] = []

    def stage() -> None:
        for birth in views:
            draft.inherit(items_file(birth))
        write(draft, views, lambda birth: first.read_tensors(items_file(birth)))

    def publish() -> None:
        deletion = Deletion((), counts(items), purged=False)
        published.append(draft.publish_deletion(deletion, {}))

    staging, publishing = taken(stage), taken(publish)
    directory = store.workspace.generation_dir(published[0].generation_id)
    size = own_bytes(directory)
    both = staging.clock + publishing.clock, staging.processor + publishing.processor
    return published[0], {
        "MB written": round(size / 1e6, 1),
        "computed and written in, s": round(staging.clock, 1),
        "tested and published in, s": round(publishing.clock, 1),
        "refresh, s": round(both[0], 1),
        "refresh, s of the processor": round(both[1], 1),
    }


def opened(store: WorkspaceStore, generation: Generation) -> tuple[StoredIndex, dict[str, Any]]:
    """Return the index of a generation, and how long it takes to open it for the first time and again."""
    artefacts = store.open_generation(generation)
    first, again = taken(artefacts.open_index), taken(artefacts.open_index)
    return artefacts.open_index(), {
        "opened for the first time in, s": round(first.clock, 1),
        "opened again in, ms": round(1000 * again.clock),
    }


def asked(
    indexes: dict[str, StoredIndex], queries: NDArray[np.float32], rounds: int
) -> dict[str, dict[str, list[float]]]:
    """Return the milliseconds of one query and of all, for each index; stop where an answer differs."""
    answers = [index.search(queries, K).ids for index in indexes.values()]
    if not np.array_equal(answers[0], answers[1]):
        sys.exit("the two indexes give different items")
    times: dict[str, list[tuple[Taken, Taken]]] = {kind: [] for kind in indexes}
    for number in range(rounds):
        one = queries[number % len(queries)][None]
        for kind, index in list(indexes.items())[:: 1 if number % 2 else -1]:
            single = taken(lambda index=index, one=one: index.search(one, K))  # type: ignore[misc]
            many = taken(lambda index=index: index.search(queries, K))  # type: ignore[misc]
            times[kind].append((single, many))
    found: dict[str, dict[str, list[float]]] = {}
    for kind, pairs in times.items():
        found[kind] = {}
        for name, column in (("1 query", 0), (f"{len(queries)} queries", 1)):
            found[kind][f"{name}, ms"] = _spread([pair[column].clock for pair in pairs])
            found[kind][f"{name}, ms of the processor"] = _spread([pair[column].processor for pair in pairs])
    return found


def _spread(seconds: Sequence[float]) -> list[float]:
    return [round(1000 * one, 1) for one in (statistics.median(seconds), min(seconds), max(seconds))]


def measured(folder: Path, items: int, width: int, dimension: int, rounds: int) -> dict[str, dict[str, Any]]:
    """Return the figures of both ways."""
    centres = np.abs(np.random.default_rng(2).standard_normal((CENTRES, width), dtype=np.float32))
    workspace = Workspace.create(folder / "workspace", Settings(), keep_generations=3)
    views = moved_model(width, dimension, centres)
    found: dict[str, dict[str, Any]] = {}
    with WorkspaceStore(workspace) as store:
        first_generation(store, items, centres, views)
        print("first generation published", flush=True)
        published = {}
        for kind in (FLAT, VIEW):
            published[kind], found[kind] = refreshed(store, items, views, kind)
            print(kind, found[kind], flush=True)
        time.sleep(proven_files.SETTLED_SECONDS + 0.5)
        os.environ["XDG_CACHE_HOME"] = str(folder / "reader")  # who has proven nothing yet
        indexes = {}
        for kind, generation in published.items():
            indexes[kind], opening = opened(store, generation)
            found[kind] |= opening
    random = np.random.default_rng(3)
    near = views[BIRTHS](some_features(random, centres, QUERIES))
    for kind, times in asked(indexes, near, rounds).items():
        found[kind] |= times
    return found


def rendered(result: dict[str, Any]) -> str:
    """Return the table of one run."""
    kinds: dict[str, dict[str, Any]] = result["kinds"]
    rows = [
        f"| {name} | {' | '.join(_cell(one[name]) for one in kinds.values())} |"
        for name in next(iter(kinds.values()))
    ]
    versions = ", ".join(f"{name} {value}" for name, value in result["environment"].items())
    return "\n".join([
        f"{result['items']:,} items of {BIRTHS} birth generations, {result['width']} numbers to a feature, "
        f"{result['dimension']} to a vector; threads: {result['threads']}; searches: median (least to most) "
        f"of {result['rounds']} rounds. Machine and versions: {versions}.", "",
        f"| | {' | '.join(kinds)} |", f"|---|{'---:|' * len(kinds)}", *rows,
    ])  # fmt: skip


def _cell(value: object) -> str:
    if isinstance(value, list):
        middle, least, most = value
        return f"{middle:g} ({least:g} to {most:g})"
    return f"{value}"


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.view_index", description=__doc__)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--dimension", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--folder", type=Path, help="where to put the workspace; a temporary one else")
    add_recording(parser, RESULTS, DOCUMENT)
    options = parser.parse_args(arguments)
    if options.render:
        replace_tables(DOCUMENT, TABLES, rendered(read_results(RESULTS)[-1]))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        os.environ["XDG_CACHE_HOME"] = str(Path(folder) / "writer")
        kinds = measured(Path(folder), options.items, options.width, options.dimension, options.rounds)
    result = {
        "environment": environment(), "items": options.items, "width": options.width,
        "dimension": options.dimension, "rounds": options.rounds, "threads": torch.get_num_threads(),
        "kinds": kinds,
    }  # fmt: skip
    print(rendered(result))
    if options.record:
        append_result(RESULTS, result)


if __name__ == "__main__":
    main(sys.argv[1:])
