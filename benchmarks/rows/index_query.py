"""The ten best of a hundred thousand vectors, exactly, against faiss's flat index."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.side_by_side.answers import same_lists
from benchmarks.side_by_side.rows import Arm, Row, Sizes, Target, Work

K = 10
FLAT = "faiss IndexFlatIP"


def prepare(folder: Path, sizes: Sizes) -> None:
    """Write vectors around centres, as those of categories lie, and others of the kind to ask with."""
    import numpy as np

    from benchmarks.index_kinds import gallery

    vectors, queries = gallery(sizes["items"], sizes["dimension"], 0)
    np.save(folder / "vectors.npy", vectors)
    np.save(folder / "queries.npy", queries)


def ours(folder: Path, sizes: Sizes) -> Work:
    """The index of ``flat-f16``: 16 bits choose, 32 bits decide, and nothing can be missed."""
    import numpy as np
    import torch  # noqa: F401 - whoever embeds queries has it, and many at once are multiplied by it

    from storage.index import INDEXES

    vectors = np.load(folder / "vectors.npy")
    ids = np.arange(len(vectors), dtype=np.int64)
    kind = INDEXES["flat-f16"]
    index = kind.from_buffer(kind.build(ids, vectors).to_bytes(), proven=True)
    return _work(folder, sizes, lambda queries: index.search(queries, K).ids)


def faiss_flat(folder: Path, sizes: Sizes) -> Work:
    """The peer; it has no setting that stays exact but the number of threads, which is that of all arms."""
    import faiss
    import numpy as np

    index = faiss.IndexFlatIP(sizes["dimension"])
    index.add(np.load(folder / "vectors.npy"))
    return _work(folder, sizes, lambda queries: index.search(queries, K)[1])


def _work(folder: Path, sizes: Sizes, search: Any) -> Work:  # noqa: ANN401
    import numpy as np

    queries, at_once = np.load(folder / "queries.npy"), sizes["at_once"]

    def run() -> dict[str, Any]:
        starts = range(0, len(queries), at_once)
        return {"found": np.concatenate([search(queries[start : start + at_once]) for start in starts])}

    return Work(run, amount=len(queries))


def _row(name: str, title: str, at_once: int) -> Row:
    asked = {"at_once": at_once}
    return Row(
        name=name,
        title=title,
        unit="queries",
        arms=(
            Arm("ours", f"{__name__}:ours", options=asked),
            Arm(FLAT, f"{__name__}:faiss_flat", peer=True, options=asked),
        ),
        targets=(Target(against=FLAT, at_least=2),),
        same=same_lists(1.0),
        prepare=prepare,
        sizes={"items": 100_000, "dimension": 256},
    )


ROWS = (
    _row("index_query", "exact search, one query at a time", 1),
    _row("index_query_50", "exact search, 50 queries at once", 50),
)
