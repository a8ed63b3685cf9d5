"""Changes every artefact and every kind of image at random: a typed error each time, never another answer.

``python -m tests.faults.mutations`` does so 500 times for each; a sample runs with the tests.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.documents import append_result, read_results, replace_tables
from cli.machine import environment
from continual_dml.errors import CatalogError, CorruptIndex, UnreadableImage
from continual_dml.ports import SilentListener
from continual_dml.settings import StreamSettings
from storage.artefacts import PublishedArtefacts
from storage.catalog import portable
from storage.catalog.engine import Database
from storage.index import INDEXES
from storage.index.flat_view import KIND as VIEW
from storage.manifest import MANIFEST_NAME
from storage.reader import WorkspaceReader
from storage.store import WorkspaceStore
from storage.verification import verify
from storage.workspace import Workspace
from storage.workspace_file import INDEX_KINDS
from streams.image_reader import read_image
from tests.storage.tiny_tasks import SMALL, delete_images, publish_task
from tests.storage.viewed_tasks import publish_gallery

RESULTS, DOCUMENT, TABLES = (
    Path("benchmarks/results/mutations.jsonl"),
    Path("docs/reliability.md"),
    "mutations",
)
FILE_KINDS = tuple(kind for kind in INDEX_KINDS if kind in INDEXES)
IMAGES = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
_SIDE = 16


@dataclass(slots=True)
class Tally:
    """How mutations of one thing ended; ``wrong`` has one line for each that should not have."""

    name: str
    ended: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def mutated(content: bytes, random: Random) -> bytes:
    """Return ``content`` with bits turned over, cut short, made longer, or with a stretch of it changed."""
    while True:
        other = random.choice(_WAYS)(bytearray(content), random)
        if bytes(other) != content:
            return bytes(other)


def _flip(content: bytearray, random: Random) -> bytearray:
    for _ in range(random.randint(1, 8)):
        content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    return content


def _cut(content: bytearray, random: Random) -> bytearray:
    return content[: random.randrange(len(content))]


def _lengthen(content: bytearray, random: Random) -> bytearray:
    return content + random.randbytes(random.randint(1, 64))


def _blank(content: bytearray, random: Random) -> bytearray:
    begin = random.randrange(len(content))
    end = min(len(content), begin + random.randint(1, 512))
    content[begin:end] = bytes(end - begin)
    return content


def _swap(content: bytearray, random: Random) -> bytearray:
    width = max(1, min(64, len(content) // 4))
    one, other = sorted(random.randrange(len(content) - width + 1) for _ in range(2))
    content[one : one + width], content[other : other + width] = (
        content[other : other + width],
        content[one : one + width],
    )
    return content


_WAYS: Sequence[Callable[[bytearray, Random], bytearray]] = (_flip, _cut, _lengthen, _blank, _swap)


def artefacts(folder: Path, times: int, seed: int = 0) -> list[Tally]:
    """Change every file of a generation, and an index of each kind, and read it as a search does."""
    found: dict[str, Tally] = {}
    for kind in FILE_KINDS:
        workspace = Workspace.create(folder / kind, SMALL, index=kind)
        with WorkspaceStore(workspace) as store:
            publish_task(store, "birds", folder / "images", gallery=12)
            delete_images(store, [2])
        _every_file(workspace, kind, times, seed, found)
    workspace = Workspace.create(folder / VIEW, SMALL)
    with WorkspaceStore(workspace) as store:
        publish_gallery(store, "birds", folder / "images", view=False, gallery=12)
        publish_gallery(store, "cars", folder / "images", view=True, gallery=12)
    _every_file(workspace, VIEW, times, seed, found)
    return list(found.values())


def _every_file(workspace: Workspace, kind: str, times: int, seed: int, found: dict[str, Tally]) -> None:
    with WorkspaceReader(workspace) as reader:
        names, directory = [MANIFEST_NAME, *reader.artefacts.all_names()], reader.artefacts.path("")
        searched = _searched(reader.artefacts)
    for name in names:
        known = f"{name} ({kind})" if name in searched else name
        if known not in found:
            random = Random(f"{seed} {known}")
            found[known] = _artefact(workspace, directory / name, known, times, random)


def _searched(artefacts: PublishedArtefacts) -> set[str]:
    """Return the names of the files that a search reads."""
    return {*artefacts.index_files, *artefacts.manifest.index.reads}


def _artefact(workspace: Workspace, path: Path, name: str, times: int, random: Random) -> Tally:
    content, tally = path.read_bytes(), Tally(name)
    for number in range(times):
        path.write_bytes(mutated(content, random))
        try:
            with WorkspaceReader(workspace) as reader:
                if path.name in _searched(reader.artefacts):
                    reader.index()
                else:
                    reader.artefacts.read_bytes(path.name)
        except CorruptIndex:
            tally.ended["CorruptIndex"] += 1
        except Exception as error:  # noqa: BLE001 - any other one is wrong
            tally.wrong.append(f"{path.name}, mutation {number}: {type(error).__name__}: {error}")
        else:
            tally.wrong.append(f"{path.name}, mutation {number}: read as if nothing had happened")
    path.write_bytes(content)
    with WorkspaceReader(workspace) as reader:
        reader.index()  # the file itself is whole again
    return tally


def catalogue(folder: Path, times: int, seed: int = 0) -> Tally:
    """Change the catalogue's own file: nothing it then says may differ without ``verify`` finding it."""
    workspace = Workspace.create(folder / "catalogue", SMALL)
    with WorkspaceStore(workspace) as store:
        for name in ("birds", "cars"):
            publish_task(store, name, folder / "images")
    path, random = workspace.root / "catalog.db", Random(f"{seed} catalogue")
    content, rows, tally = path.read_bytes(), _rows(workspace), Tally("catalog.db")
    for number in range(times):
        for log in ("catalog.db-wal", "catalog.db-shm"):
            (workspace.root / log).unlink(missing_ok=True)
        path.write_bytes(mutated(content, random))
        try:
            if verify(workspace, deep=True, listener=SilentListener()).problems:
                tally.ended["found by verify"] += 1
            elif _rows(workspace) == rows:
                tally.ended["no row changed"] += 1
            else:
                tally.wrong.append(f"catalog.db, mutation {number}: other rows, and verify is content")
        except CatalogError:
            tally.ended["CatalogError"] += 1
        except Exception as error:  # noqa: BLE001 - any other one is wrong
            tally.wrong.append(f"catalog.db, mutation {number}: {type(error).__name__}: {error}")
    return tally


def _rows(workspace: Workspace) -> list[bytes]:
    database = Database(workspace.database_url, read_only=True)
    with closing(database), database.transaction() as connection:
        return list(portable.dump(connection))


def images(folder: Path, times: int, seed: int = 0) -> list[Tally]:
    """Change an image of every format and read it as an ingest does."""
    folder.mkdir(parents=True, exist_ok=True)
    return [_image(folder, name, times, Random(f"{seed} {name}")) for name in IMAGES]


def _image(folder: Path, name: str, times: int, random: Random) -> Tally:
    content, tally, path = _drawn(name), Tally(name), folder / f"image.{name.lower()}"
    for number in range(times):
        path.write_bytes(mutated(content, random))
        try:
            found = read_image(str(path), _SIDE, StreamSettings())
        except UnreadableImage:
            tally.ended["UnreadableImage"] += 1
        except Exception as error:  # noqa: BLE001 - any other one is wrong
            tally.wrong.append(f"{name}, mutation {number}: {type(error).__name__}: {error}")
        else:
            whole = found.pixels.shape == (_SIDE, _SIDE, 3) and found.pixels.dtype == np.uint8
            tally.ended["an image"] += whole
            tally.wrong += [] if whole else [f"{name}, mutation {number}: {found.pixels.shape}"]
    return tally


def _drawn(name: str) -> bytes:
    random = np.random.default_rng(0)
    picture = Image.fromarray(random.integers(0, 255, size=(40, 56, 3), dtype=np.uint8))
    stream = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    options: dict[str, Any] = {"exif": exif} if name in ("JPEG", "PNG", "WEBP", "TIFF") else {}
    picture.save(stream, name, **options)
    return stream.getvalue()


def rendered(lines: Sequence[dict[str, Any]]) -> str:
    """Return the table of one run."""
    rows = [
        f"| {line['name']} | {sum(line['ended'].values()) + len(line['wrong']):,} | "
        f"{', '.join(f'{count:,} x {what}' for what, count in sorted(line['ended'].items()))} | "
        f"{len(line['wrong'])} |"
        for line in lines
    ]
    return "\n".join(["| changed | times | ended as | wrong |", "|---|---:|---|---:|", *rows])


def main(arguments: Sequence[str]) -> int:
    """Run it; returns 1 where anything ended wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.mutations", description=__doc__)
    parser.add_argument("--times", type=int, default=500)
    parser.add_argument("--record", action="store_true", help=f"add what was found to {RESULTS}")
    parser.add_argument("--render", action="store_true", help=f"put the last results into {DOCUMENT}")
    options = parser.parse_args(arguments)
    if options.render:
        replace_tables(DOCUMENT, TABLES, rendered(read_results(RESULTS)[-1]["lines"]))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        at, times = Path(folder), options.times
        found = [*artefacts(at, times), catalogue(at, times), *images(at / "pictures", times)]
    lines = [{"name": one.name, "ended": dict(one.ended), "wrong": one.wrong[:5]} for one in found]
    print(rendered(lines))
    wrong = [line for one in found for line in one.wrong]
    print(*wrong[:20], sep="\n", file=sys.stderr)
    if options.record:
        append_result(RESULTS, {"environment": environment(), "times": options.times, "lines": lines})
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
