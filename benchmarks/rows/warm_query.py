"""A query with a photo: through a server, and by a cold command, against a script that loads all it needs."""

from __future__ import annotations

import atexit
import http.client
import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.photos import PHOTOS, shared_file
from benchmarks.side_by_side.answers import same_lists
from benchmarks.side_by_side.rows import Arm, Row, Sizes, Target, Work

if TYPE_CHECKING:
    from collections.abc import Callable

SCRIPT = "a script that loads model and index"
K = 10
AIM_SECONDS = 0.06


def prepare(folder: Path, sizes: Sizes) -> None:
    """Make a workspace of photos, and write its model and its vectors for the script as well."""
    import faiss
    import numpy as np
    import torch

    from benchmarks.served_queries import made
    from continual_dml.strategies.served import ServedModel
    from continual_dml.workflows.gallery_files import published_parts
    from continual_dml.workflows.search import Searcher
    from storage.store import WorkspaceStore
    from storage.workspace import Workspace

    weights = shared_file("weights/mobilenet_v2-imagenet1k.safetensors")
    photos = made(folder, shared_file(f"data/{PHOTOS}"), weights, sizes["categories"])
    chosen = photos[:: len(photos) // sizes["photos"]][: sizes["photos"]]
    (folder / "photos.json").write_text(json.dumps([str(photo) for photo in chosen]))
    with WorkspaceStore(Workspace.open(folder / "workspace")) as store:
        artefacts = store.open_generation(store.head() or sys.exit("nothing was published"))
        parts = list(published_parts(artefacts))
        ids, vectors = (
            np.concatenate([getattr(part, name) for part in parts]) for name in ("ids", "vectors")
        )
        searcher = Searcher.open(artefacts, "cpu")
    served, settings = ServedModel(searcher.embedders, searcher.head), searcher.embedders[0].settings
    side = settings.stored_side_pixels
    square = torch.zeros((1, side, side, 3), dtype=torch.uint8)
    torch.jit.trace(served, (square,)).save(str(folder / "model.pt"))  # type: ignore[no-untyped-call]
    (folder / "about.json").write_text(json.dumps({"side": side}))
    index = faiss.IndexIDMap2(faiss.IndexFlatIP(vectors.shape[1]))
    index.add_with_ids(vectors, ids)
    faiss.write_index(index, str(folder / "index.faiss"))


def served(folder: Path, sizes: Sizes) -> Work:
    """A photo over a connection that is open to a server that runs."""
    del sizes
    from benchmarks.served_queries import server

    stack = ExitStack()
    atexit.register(stack.close)
    host, port = stack.enter_context(server(folder))
    connection = http.client.HTTPConnection(host, port)

    def ask(photo: str) -> list[int]:
        connection.request("POST", f"/api/v1/search?k={K}", Path(photo).read_bytes())
        found = json.loads(connection.getresponse().read())["neighbours"]
        return [one["id"] for one in found]

    return _work(folder, ask)


def cold_command(folder: Path, sizes: Sizes) -> Work:
    """``cdml query``, which finds no server."""
    del sizes
    from benchmarks.processes import cdml

    def ask(photo: str) -> list[int]:
        where = ("-k", str(K), "-w", str(folder / "workspace"), "--cold")
        found = cdml("query", photo, *where, accepted=(0, 4)).document["queries"][0]["neighbours"]
        return [one["item_id"] for one in found]

    return _work(folder, ask)


def script(folder: Path, sizes: Sizes) -> Work:
    """What one would write: every library at the top, model, index, photo, answer."""
    del sizes

    def ask(photo: str) -> list[int]:
        command = [sys.executable, "-m", "benchmarks.cold_search", str(folder), photo]
        printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        found: list[int] = json.loads(printed)
        return found

    return _work(folder, ask)


def _work(folder: Path, ask: Callable[[str], list[int]]) -> Work:
    photos: list[str] = json.loads((folder / "photos.json").read_text())

    def run() -> dict[str, Any]:
        return {"found": [ask(photo) for photo in photos]}

    return Work(run, amount=len(photos))


def _row(name: str, title: str, factory: str, targets: tuple[Target, ...], rounds: int) -> Row:
    return Row(
        name=name,
        title=title,
        arms=(Arm("ours", f"{__name__}:{factory}"), Arm(SCRIPT, f"{__name__}:script", peer=True)),
        targets=targets,
        same=same_lists(0.8),  # the script scales photos by another filter
        prepare=prepare,
        sizes={"photos": 4, "categories": 40},
        quick={"photos": 2, "categories": 4},
        rounds=rounds,
    )


ROWS = (
    _row(
        "warm_query",
        "a query through `cdml serve`",
        "served",
        (Target(at_most=AIM_SECONDS), Target(against=SCRIPT, at_least=30)),
        9,
    ),
    _row(
        "cold_query",
        "a query by `cdml query`, no server",
        "cold_command",
        (Target(against=SCRIPT, at_least=1),),
        9,
    ),
)
