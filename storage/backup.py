"""A workspace as one archive, taken while it is in use, and made into a workspace again.

The archive is a plain tar: settings, initial weights, the catalogue as lines of JSON, the files of every kept
generation, the query images, and last a list of all of these with size and hash.
"""

from __future__ import annotations

import json
import os
import re
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

from continual_dml.errors import CatalogError, CorruptIndex, SchemaTooNew, WorkspaceError
from continual_dml.ports import ProgressListener
from continual_dml.records import Generation
from storage import durable, workspace_file
from storage.artefacts import PublishedArtefacts
from storage.catalog import history, portable, queries, schema
from storage.catalog.engine import Database
from storage.catalog.version import REVISION
from storage.durable import FileEntry
from storage.manifest import MANIFEST_NAME
from storage.pgvector.restoring import (
    build_without_tables,
    fill_tables,
    prepare_for_tables,
    with_possible_index,
)
from storage.verified_files import read_published, sha256_of
from storage.workspace import Workspace

_LIST, _CATALOGUE = "BACKUP.json", "catalog.jsonl"
_FORMAT_VERSION = 1
_OLDEST_SCHEMA = "0002"  # later ones only added tables
_ATTEMPTS = 10
_NAME = re.compile(
    r"BACKUP\.json|catalog\.jsonl|cdml\.toml|initial-weights\.safetensors"
    r"|gen/\d{8,12}/[A-Za-z0-9][A-Za-z0-9_.-]{0,99}|queries/[0-9a-f]{2}/[0-9a-f]{64}"
)
_BLOCK = 512
_MOST_LIST_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class _Content:
    """What goes into an archive: files held open, the catalogue's lines, and hashes of query images."""

    generations: list[PublishedArtefacts]
    catalogue: bytes
    hashes: list[str]


def back_up(workspace: Workspace, target: Path, listener: ProgressListener) -> FileEntry:
    """Write the workspace as it is at one moment into the new file ``target``; a writer may be at work.

    Raises:
        WorkspaceError: ``target`` exists or cannot be written.
        CatalogError: the catalogue cannot answer.
        CorruptIndex: a file is damaged; nothing is written then.
    """
    if target.exists():
        raise WorkspaceError(f"{target} exists already: choose another name for the backup")
    with ExitStack() as resources:
        content = _collected(workspace, resources)
        beside = target.with_name(f".{target.name}.part")
        durable.remove_file(beside)
        entry = durable.write_file(beside, _archive(workspace, content, listener))
    durable.rename(beside, target)
    durable.fsync_directory(target.absolute().parent)
    return entry


def restore(archive: Path, root: Path, database_url: str | None, listener: ProgressListener) -> Workspace:
    """Make a workspace of a backup; it exists once everything in it has proved whole.

    Args:
        archive: what :func:`back_up` wrote.
        root: a folder that does not exist or is empty.
        database_url: of an empty database for the catalogue, whatever it lay in before; None for an SQLite
            file in the workspace. An index that lay in PostgreSQL goes there again, or is built anew as the
            default kind.
        listener: told one unit per file.

    Raises:
        WorkspaceError: the folder is taken, or the archive cannot be read.
        CorruptIndex: the archive is not whole or is none of cdml.
        SchemaTooNew: a newer cdml wrote it.
        CatalogError: the database refuses or is not empty.
        SettingsError: the index lies in PostgreSQL, and this server has no pgvector.
    """
    root = Path(os.path.abspath(root))  # noqa: PTH100 - symbolic links are kept as the user named them
    if root.exists() and not (root.is_dir() and not any(root.iterdir())):
        raise WorkspaceError(f"{root} exists and is no empty folder: choose another with -w")
    staging = root.with_name(f".{root.name}.restoring")
    durable.remove_tree(staging)
    durable.make_directory(staging)
    try:
        _unpack(archive, staging, listener)
        content = workspace_file.read(staging / workspace_file.FILE_NAME)
        content = with_possible_index(replace(content, database_url=database_url))
        durable.replace_text_atomically(staging / workspace_file.FILE_NAME, content.to_text(), 0o600)
        _fill_catalogue(Workspace(staging, content), archive)
        build_without_tables(Workspace(staging, content), listener)
        for directory in sorted(path for path in staging.rglob("*") if path.is_dir()):
            durable.fsync_directory(directory)
        durable.fsync_directory(staging)
        if root.exists():
            durable.remove_empty_directory(root)
        durable.rename(staging, root)
        durable.fsync_directory(root.parent)
    except BaseException:
        durable.remove_tree(staging)
        raise
    return Workspace.open(root)


def _collected(workspace: Workspace, resources: ExitStack) -> _Content:
    """Read the catalogue and hold the files of its generations open; again where a writer removed some."""
    with closing(Database(workspace.database_url, read_only=True)) as database:
        schema.check_schema(database)
        for _ in range(_ATTEMPTS):
            with database.transaction() as connection:
                lines = b"".join(portable.dump(connection))
                required = history.required(connection)
                published = queries.generations(connection)
                hashes = sorted(queries.all_query_hashes(connection))
            with ExitStack() as holding:
                held = list(_held_open(workspace, published, holding))
                if required <= {artefacts.generation.generation_id for artefacts in held}:
                    resources.enter_context(holding.pop_all())
                    return _Content(held, lines, hashes)
    raise CatalogError(
        f"{workspace.root} is not whole or changes too fast: run `cdml verify`, then try again"
    )


def _held_open(
    workspace: Workspace, published: list[Generation], holding: ExitStack
) -> Iterator[PublishedArtefacts]:
    """Yield the generations whose files are all there, open for as long as ``holding`` is."""
    for generation in published:
        try:
            artefacts = PublishedArtefacts.open(
                workspace.generation_dir(generation.generation_id), generation
            )
            artefacts.pin()
        except FileNotFoundError:
            continue
        holding.enter_context(closing(artefacts))
        yield artefacts


def _archive(workspace: Workspace, content: _Content, listener: ProgressListener) -> Iterator[bytes]:
    total = sum(len(one.all_names()) + 1 for one in content.generations) + len(content.hashes) + 3
    listener.start("backing up", total)
    written: dict[str, FileEntry] = {}
    for name, data in _files(workspace, content):
        written[name] = FileEntry(len(data), sha256_of(data))
        yield from _member(name, data)
        listener.advance()
    document = {
        "format_version": _FORMAT_VERSION,
        "schema": REVISION,
        "files": {name: {"size": one.size, "sha256": one.sha256} for name, one in written.items()},
    }
    yield from _member(_LIST, json.dumps(document, indent=1).encode())
    yield bytes(2 * _BLOCK)


def _files(workspace: Workspace, content: _Content) -> Iterator[tuple[str, bytes]]:
    yield workspace_file.FILE_NAME, workspace.settings_text_without_database().encode()
    yield _CATALOGUE, content.catalogue
    weights = workspace.initial_weights_bytes()
    if weights is not None:
        yield workspace.initial_weights_file.name, weights
    for artefacts in content.generations:
        folder = f"gen/{workspace.generation_dir(artefacts.generation.generation_id).name}"
        yield f"{folder}/{MANIFEST_NAME}", artefacts.manifest_bytes
        for name in artefacts.all_names():
            yield f"{folder}/{name}", artefacts.read_bytes(name)
    for content_hash in content.hashes:
        path = workspace.query_copy(content_hash)
        try:
            data = read_published(path, None, content_hash)
        except FileNotFoundError as error:
            raise CorruptIndex(f"the query image {path} is missing: run `cdml verify`") from error
        yield f"queries/{content_hash[:2]}/{content_hash}", data


def _member(name: str, data: bytes) -> Iterator[bytes]:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), 0o644
    yield info.tobuf(tarfile.PAX_FORMAT)
    yield data
    yield bytes(-len(data) % _BLOCK)


def _unpack(archive: Path, staging: Path, listener: ProgressListener) -> None:
    """Write every member to its place, then compare all of them with the list at the end."""
    found: dict[str, FileEntry] = {}
    listed: bytes | None = None
    listener.start("restoring", 0)
    try:
        with tarfile.open(archive, "r:") as stream:
            for member in stream:
                source = stream.extractfile(member) if member.isreg() else None
                if source is None or not _NAME.fullmatch(member.name) or member.name in found:
                    raise CorruptIndex(f"{archive} is no backup of cdml: it holds '{member.name[:80]}'")
                if member.name == _LIST:
                    listed = source.read(_MOST_LIST_BYTES)
                    continue
                path = staging / member.name
                durable.make_directory(path.parent)
                pieces = iter(lambda source=source: source.read(1 << 20), b"")  # type: ignore[misc]
                found[member.name] = durable.write_file(path, pieces)
                listener.advance()
    except (OSError, tarfile.TarError, EOFError) as error:
        raise CorruptIndex(f"{archive} is not whole, or no backup of cdml: {error}") from error
    if listed is None:
        raise CorruptIndex(f"{archive} is not whole: its list of files is missing")
    _compare(archive, listed, found)


def _compare(archive: Path, listed: bytes, found: dict[str, FileEntry]) -> None:
    try:
        document = json.loads(listed)
        version, revision = document["format_version"], str(document["schema"])
        expected = {name: FileEntry(**entry) for name, entry in document["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptIndex(f"{archive} is no backup of cdml: {error}") from error
    if version != _FORMAT_VERSION or revision > REVISION:
        raise SchemaTooNew(f"{archive} was written by a newer cdml: restore it with that one")
    if revision < _OLDEST_SCHEMA:
        raise CatalogError(
            f"{archive} was written by an older cdml (schema {revision}): restore it with that one, then "
            "ingest or collect with this one"
        )
    differing = sorted(name for name in {*expected, *found} if expected.get(name) != found.get(name))
    if differing:
        raise CorruptIndex(f"{archive} is damaged: {differing[0]} differs from what was backed up")


def _fill_catalogue(workspace: Workspace, archive: Path) -> None:
    path = workspace.root / _CATALOGUE
    with closing(Database(workspace.database_url, read_only=False)) as database:
        prepare_for_tables(workspace, database)
        schema.migrate(database)
        with database.transaction() as connection, path.open("rb") as lines:
            portable.load(connection, lines, str(archive))
            fill_tables(connection, workspace)
    durable.remove_file(path)
