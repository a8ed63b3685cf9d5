"""Opening an index from its file, and what the first search after that takes, against faiss.

Ours is proven, as for every command after the first one on a machine; the first, which hashes the file, is
told as a figure.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.rows.index_query import K
from benchmarks.rows.index_query import prepare as write_vectors
from benchmarks.side_by_side.answers import same_lists
from benchmarks.side_by_side.rows import Answers, Arm, Row, Sizes, Target, Work

if TYPE_CHECKING:
    from storage.index.stored import StoredIndex

READ, MAPPED = "faiss.read_index", "faiss.read_index, mapped"
OWN, THEIRS = "index.safetensors", "index.faiss"


def prepare(folder: Path, sizes: Sizes) -> None:
    """Write the same vectors as an index of ours and as one of faiss's."""
    import faiss
    import numpy as np

    from storage.index.flat import FlatIndex

    write_vectors(folder, sizes)
    vectors = np.load(folder / "vectors.npy")
    content = FlatIndex.build(np.arange(len(vectors), dtype=np.int64), vectors).to_bytes()
    (folder / OWN).write_bytes(content)
    flat = faiss.IndexFlatIP(sizes["dimension"])
    flat.add(vectors)
    faiss.write_index(flat, str(folder / THEIRS))


def ours(folder: Path, sizes: Sizes) -> Work:
    """Open a published index as a reader does."""
    import time

    from storage import proven_files
    from storage.verified_files import sha256_of

    os.environ["XDG_CACHE_HOME"] = str(folder / f"proven-{os.getpid()}")
    path = folder / OWN
    content = path.read_bytes()
    size, sha256 = len(content), sha256_of(content)
    del content

    def opened() -> StoredIndex:
        return _open(path, size, sha256)

    time.sleep(proven_files.SETTLED_SECONDS + 0.1)
    begin = time.perf_counter()
    opened()
    hashed = 1000 * (time.perf_counter() - begin)
    return _work(
        path,
        sizes,
        opened,
        lambda index, query: index.search(query, K).ids,
        lambda index: (len(index), index.dimension),
        {"milliseconds_to_hash_it_once": hashed},
    )


def _open(path: Path, size: int, sha256: str) -> StoredIndex:
    """Open a published index as a reader does."""
    from storage import proven_files
    from storage.index.flat import FlatIndex
    from storage.verified_files import map_verified, open_published

    descriptor = open_published(path)
    try:
        mapped = map_verified(descriptor, str(path), size, sha256, afresh=False)
        index = FlatIndex.from_buffer(mapped.content, proven=mapped.proven)
        if not mapped.proven:
            proven_files.remember(descriptor, sha256)
    finally:
        os.close(descriptor)
    return index


def faiss_index(folder: Path, sizes: Sizes) -> Work:
    """The peer, by default or with its option that leaves what can be left in the file."""
    import faiss

    flags = faiss.IO_FLAG_MMAP_IFC if sizes["mapped"] else 0
    path = folder / THEIRS
    return _work(
        path,
        sizes,
        lambda: faiss.read_index(str(path), flags),
        lambda index, query: index.search(query, K)[1],
        lambda index: (index.ntotal, index.d),
        {},
    )


def _work(path: Path, sizes: Sizes, opened: Any, search: Any, shape: Any, figures: dict[str, float]) -> Work:  # noqa: ANN401
    import numpy as np

    query = np.load(path.parent / "queries.npy")[:1]

    def run() -> Answers:
        index = opened()
        return {"found": search(index, query) if sizes["searched"] else [shape(index)]}

    return Work(
        run, before=(lambda: _drop_from_cache(path)) if sizes["cold"] else None, figures=lambda: figures
    )


def _drop_from_cache(path: Path) -> None:
    """Let the next reader of a file go to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def _row(name: str, title: str, against: tuple[float, float], *, cold: bool, searched: bool) -> Row:
    factory, how = f"{__name__}:faiss_index", {"cold": cold, "searched": searched}
    return Row(
        name=name,
        title=title,
        arms=(
            Arm("ours", f"{__name__}:ours", options=how),
            Arm(READ, factory, peer=True, options={**how, "mapped": False}),
            Arm(MAPPED, factory, peer=True, options={**how, "mapped": True}),
        ),
        targets=(Target(against=READ, at_least=against[0]), Target(against=MAPPED, at_least=against[1])),
        same=same_lists(1.0),
        prepare=prepare,
        sizes={"items": 100_000, "dimension": 256},
        shortest=0.1,
        limits=(
            "faiss maps its file and looks at none of it; ours reads the ids and sees that they fit. The "
            "first search, which one opens an index for, is the line where both have read what they need."
        ),
    )


ROWS = (
    _row("open_index", "opening an index, file cached", (20, 1), cold=False, searched=False),
    _row("open_index_cold", "opening an index, file not cached", (20, 1), cold=True, searched=False),
    _row(
        "open_index_searched",
        "opening an index and the first search, file not cached",
        (1, 1),
        cold=True,
        searched=True,
    ),
)
