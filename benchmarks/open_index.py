"""How long it takes until a search index can answer, against ``faiss.read_index`` of the same vectors.

Run ``python -m benchmarks.open_index``. Rounds alternate. "cold" drops the file from the system's cache
first. Ours is proven, as for every command after the first on a machine; the first, which hashes the file, is
told beside it, and so is the first search, which is what reads the vectors then.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import faiss
import numpy as np

from benchmarks.documents import append_result
from benchmarks.rows.open_index import drop_from_cache, open_ours
from cli.machine import environment
from storage import proven_files
from storage.index.flat import FlatIndex
from storage.index.stored import StoredIndex
from storage.verified_files import sha256_of

RESULTS = Path("benchmarks/results/open_index.jsonl")
Search = Callable[[np.ndarray], object]


def measured(
    opened: Callable[[], Search], path: Path, query: np.ndarray, *, cold: bool
) -> tuple[float, float]:
    """Return the milliseconds until it is open, and those of the first search."""
    if cold:
        drop_from_cache(path)
    begin = time.perf_counter()
    search = opened()
    middle = time.perf_counter()
    search(query)
    return 1000 * (middle - begin), 1000 * (time.perf_counter() - middle)


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.open_index", description=__doc__)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--record", action="store_true", help=f"add the result to {RESULTS}")
    options = parser.parse_args(arguments)
    random = np.random.default_rng(0)
    vectors = random.normal(size=(options.items, options.dimension)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        content = FlatIndex.build(np.arange(options.items, dtype=np.int64), vectors).to_bytes()
        own, theirs = Path(folder) / "index.safetensors", Path(folder) / "index.faiss"
        sha256 = sha256_of(content)
        own.write_bytes(content)
        flat = faiss.IndexFlatIP(options.dimension)
        flat.add(vectors)
        faiss.write_index(flat, str(theirs))
        time.sleep(proven_files.SETTLED_SECONDS + 0.1)
        begin = time.perf_counter()
        open_ours(own, len(content), sha256, afresh=False)
        line: dict[str, object] = {
            "items": options.items,
            "dimension": options.dimension,
            "first open, ms": round(1000 * (time.perf_counter() - begin), 1),
        }
        for cold in (False, True):
            ways: dict[str, tuple[Path, Callable[[], Search]]] = {
                "ours": (own, lambda: _searching(open_ours(own, len(content), sha256, afresh=False))),
                "faiss": (theirs, lambda: _faiss_searching(theirs)),
            }
            found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
            for _ in range(options.rounds):
                for name, (path, opened) in ways.items():
                    found[name].append(measured(opened, path, vectors[:1], cold=cold))
            line["cold" if cold else "warm"] = _summary(found)
    print(line)
    if options.record:
        append_result(RESULTS, {"environment": environment(), **line})


def _searching(index: StoredIndex) -> Search:
    return lambda query: index.search(query, 10)


def _faiss_searching(path: Path) -> Search:
    index = faiss.read_index(str(path))
    return lambda query: index.search(query, 10)


def _summary(found: dict[str, list[tuple[float, float]]]) -> dict[str, object]:
    ratios = [slow[0] / fast[0] for slow, fast in zip(found["faiss"], found["ours"], strict=True)]
    summary: dict[str, object] = {
        name: {
            "open, ms": round(statistics.median(one[0] for one in times), 2),
            "first search, ms": round(statistics.median(one[1] for one in times), 1),
        }
        for name, times in found.items()
    }
    middle = statistics.median(ratios)
    return {**summary, "faiss / ours": [round(one, 1) for one in (min(ratios), middle, max(ratios))]}


if __name__ == "__main__":
    main(sys.argv[1:])
