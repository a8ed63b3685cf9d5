"""What each kind of search index costs and gives: to build, to open, to ask, on disk, and how much it misses.

Run ``python -m benchmarks.index_kinds``. The vectors lie around 2,000 centres, as those of a gallery of
categories do; the queries are other vectors of the same kind. Searches of all kinds alternate within a round.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.documents import add_recording, append_result, read_results, replace_tables
from cli.machine import environment
from storage.index import INDEXES
from storage.index.stored import StoredIndex
from storage.workspace_file import INDEX_KINDS

RESULTS, DOCUMENT = Path("benchmarks/results/index_kinds.jsonl"), Path("docs/benchmarks.md")
TABLES = "index-kinds"
CENTRES, SPREAD, QUERIES, K = 2_000, 0.7, 50, 10
FILE_KINDS = tuple(kind for kind in INDEX_KINDS if kind in INDEXES)


def gallery(items: int, dimension: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return unit vectors (N, D) to index and (Q, D) to ask with."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(CENTRES, dimension))
    chosen = centres[random.integers(0, CENTRES, items + QUERIES)]
    vectors = chosen + SPREAD * random.normal(size=chosen.shape)
    units = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return units[:items], units[items:]


def milliseconds(action: Callable[[], object]) -> float:
    """Return how long ``action`` takes."""
    begin = time.perf_counter()
    action()
    return 1000 * (time.perf_counter() - begin)


def built(kind: str, vectors: NDArray[np.float32]) -> tuple[StoredIndex, dict[str, Any]]:
    """Return an index as it is opened from its file, and what it took until then."""
    ids = np.arange(len(vectors), dtype=np.int64)
    made: list[StoredIndex] = []
    seconds = milliseconds(lambda: made.append(INDEXES[kind].build(ids, vectors))) / 1000
    content = made.pop().to_bytes()
    opening = milliseconds(lambda: made.append(INDEXES[kind].from_buffer(content, proven=True)))
    costs = {"build, s": round(seconds, 1), "open, ms": round(opening), "MB": round(len(content) / 1e6)}
    return made.pop(), costs


def measured(items: int, dimension: int, rounds: int) -> dict[str, dict[str, Any]]:
    """Return the figures of each kind."""
    vectors, queries = gallery(items, dimension, 0)
    opened: dict[str, StoredIndex] = {}
    found: dict[str, dict[str, Any]] = {}
    for kind in FILE_KINDS:
        opened[kind], found[kind] = built(kind, vectors)
        print(kind, found[kind], flush=True)
    best = INDEXES["flat"].build(np.arange(items, dtype=np.int64), vectors).search(queries, K).similarities
    times: dict[str, list[tuple[float, float]]] = {kind: [] for kind in FILE_KINDS}
    for number in range(rounds):
        one = queries[number % QUERIES][None]
        for kind, index in opened.items():
            single = milliseconds(lambda index=index, one=one: index.search(one, K))  # type: ignore[misc]
            many = milliseconds(lambda index=index: index.search(queries, K))  # type: ignore[misc]
            times[kind].append((single, many))
    for kind, index in opened.items():
        answers = index.search(queries, K).similarities
        found[kind]["recall@10"] = round(float((answers >= best[:, -1:] - 1e-6).mean()), 4)
        for name, place in (("1 query, ms", 0), (f"{QUERIES} queries, ms", 1)):
            taken = [one[place] for one in times[kind]]
            found[kind][name] = [round(one, 2) for one in (statistics.median(taken), min(taken), max(taken))]
    return found


def rendered(result: dict[str, Any]) -> str:
    """Return the table of one run."""
    kinds: dict[str, dict[str, Any]] = result["kinds"]
    names = list(next(iter(kinds.values())))
    rows = [f"| {kind} | {' | '.join(_cell(one[name]) for name in names)} |" for kind, one in kinds.items()]
    versions = ", ".join(f"{name} {value}" for name, value in result["environment"].items())
    return "\n".join([
        f"{result['items']:,} vectors of {result['dimension']} numbers, median (least to most) of "
        f"{result['rounds']} rounds. Machine and versions: {versions}.", "",
        f"| kind | {' | '.join(names)} |", f"|---|{'---:|' * len(names)}", *rows,
    ])  # fmt: skip


def _cell(value: object) -> str:
    if isinstance(value, list):
        middle, least, most = value
        return f"{middle:g} ({least:g} to {most:g})"
    return f"{value}"


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.index_kinds", description=__doc__)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=15)
    add_recording(parser, RESULTS, DOCUMENT)
    options = parser.parse_args(arguments)
    if options.render:
        replace_tables(DOCUMENT, TABLES, rendered(read_results(RESULTS)[-1]))
        return
    result = {
        "environment": environment(), "items": options.items, "dimension": options.dimension,
        "rounds": options.rounds, "kinds": measured(options.items, options.dimension, options.rounds),
    }  # fmt: skip
    print(rendered(result))
    if options.record:
        append_result(RESULTS, result)


if __name__ == "__main__":
    main(sys.argv[1:])
