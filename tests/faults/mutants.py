"""Deliberate mistakes in the order of writes: tests that do not notice one of these are blind.

``seen_by``: ``crash`` where killing the process must show it, ``power`` where only a power cut can, ``error``
where a call that fails must.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import delete, insert, select, update

from storage import draft as draft_module
from storage import durable
from storage.catalog import publish, sqlite_files
from storage.catalog.tables import Head, Refusal
from storage.draft import PublishingDraft


@dataclass(frozen=True, slots=True)
class Mutant:
    """A mistake, the scenario that shows it, and the kind of interruption that must."""

    apply: Callable[[], None]
    scenario: str
    seen_by: str


def _no_flush_of(matches: Callable[[Path], bool]) -> Callable[[], None]:
    def apply() -> None:
        flush = os.fsync

        def skip(descriptor: int) -> None:
            if not matches(Path(f"/proc/self/fd/{descriptor}").readlink()):
                flush(descriptor)

        os.fsync = skip

    return apply


def _commit_before_rename() -> None:
    """Move the head first, and only then give the directory its name."""
    make_durable, commit = PublishingDraft._make_durable, publish.commit
    held: list[Callable[[], None]] = []
    PublishingDraft._make_durable = lambda self, manifest: held.append(lambda: make_durable(self, manifest))

    def commit_first(database: object, generation: object, *rest: object) -> None:
        commit(database, generation, *rest)
        held.pop()()

    draft_module.publish.commit = commit_first


def _refuse_after_commit() -> None:
    """Publish as if nothing was refused, and then write down the refusal and put the head back."""
    commit = publish.commit

    def commit_first(database: object, generation: object, *rest: object) -> None:
        with database.transaction() as connection:
            refused = [dict(row) for row in connection.execute(select(Refusal.__table__)).mappings()]
            connection.execute(delete(Refusal))
        commit(database, generation, *rest)
        with database.transaction() as connection:
            for row in refused:
                connection.execute(insert(Refusal).values(row))
                connection.execute(update(Head).values(generation_id=generation.parent_id))

    draft_module.publish.commit = commit_first


def _collect_before_commit() -> None:
    """Remove the old generation when the new one is about to go live."""
    commit = publish.commit

    def collect_first(database: object, generation: object, *rest: object) -> None:
        for path in Path(database.label.removeprefix("sqlite:///")).parent.glob("gen/0*"):
            if path.name != f"{generation.generation_id:08d}":
                durable.remove_tree(path)
        commit(database, generation, *rest)

    draft_module.publish.commit = collect_first


def _write_after_commit() -> None:
    """Write an artefact once more when the generation is live already."""
    commit = publish.commit

    def write_again(database: object, generation: object, *rest: object) -> None:
        commit(database, generation, *rest)
        root = Path(database.label.removeprefix("sqlite:///")).parent
        path = root / "gen" / f"{generation.generation_id:08d}" / "model.safetensors"
        content = path.read_bytes()
        durable.remove_file(path)
        durable.write_file(path, content)

    draft_module.publish.commit = write_again


def _write_in_place() -> None:
    """Write settings over the old ones instead of beside them."""

    def in_place(path: Path, text: str, mode: int = 0o644) -> None:
        durable.remove_file(path)
        durable.write_file(path, text.encode(), mode)

    durable.replace_text_atomically = in_place


def _nameless_error() -> None:
    """Let an error of the operating system through as it is."""

    @contextmanager
    def through(action: str, path: Path) -> Iterator[None]:
        yield

    durable._reported = through


def _lazy_catalogue() -> None:
    """Let SQLite acknowledge a commit that no disk has seen."""
    connect = sqlite_files.connect_writing

    def lazily(path: Path) -> object:
        connection = connect(path)
        connection.execute("PRAGMA synchronous=OFF")
        return connection

    from storage.catalog import engine

    engine.connect_writing = lazily


MUTANTS = {
    "no flush of artefacts": Mutant(
        _no_flush_of(lambda path: path.suffix == ".safetensors"), "publish", "power"
    ),
    "no flush of the manifest": Mutant(
        _no_flush_of(lambda path: path.name == "MANIFEST.json"), "publish", "power"
    ),
    "no flush of the staging directory": Mutant(
        _no_flush_of(lambda path: path.name.startswith(".staging")), "publish", "power"
    ),
    "no flush of the generations": Mutant(_no_flush_of(lambda path: path.name == "gen"), "publish", "power"),
    "no flush of query images": Mutant(_no_flush_of(lambda path: len(path.name) == 64), "publish", "power"),
    "no flush of a query directory": Mutant(
        _no_flush_of(lambda path: path.parent.name == "queries" and len(path.name) == 2), "publish", "power"
    ),
    "no flush of the query directories": Mutant(
        _no_flush_of(lambda path: path.name == "queries"), "publish", "power"
    ),
    "catalogue without flushes": Mutant(_lazy_catalogue, "publish", "power"),
    "commit before the rename": Mutant(_commit_before_rename, "publish", "crash"),
    "refusal written after the commit": Mutant(_refuse_after_commit, "refuse", "crash"),
    "old generation removed before the commit": Mutant(_collect_before_commit, "publish", "crash"),
    "a file written after the commit": Mutant(_write_after_commit, "publish", "crash"),
    "settings written in place": Mutant(_write_in_place, "init", "crash"),
    "an error without a name": Mutant(_nameless_error, "publish", "error"),
    "archive without a flush": Mutant(
        _no_flush_of(lambda path: path.name.endswith(".part")), "backup", "power"
    ),
}
