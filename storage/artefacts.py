"""The files of one published generation, each verified against the manifest before it is parsed."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

from continual_dml.errors import CorruptIndex
from continual_dml.records import Generation
from storage.durable import FileEntry
from storage.index import flat_view
from storage.index.stored import StoredIndex
from storage.index_kinds import index_kind
from storage.manifest import MANIFEST_NAME, IndexEntry, Manifest, is_catalogue_name
from storage.proven_files import remember_all
from storage.tensor_files import view_tensors
from storage.tensor_headers import Content
from storage.verified_files import (
    ADVICE,
    Mapped,
    map_proved,
    map_verified,
    open_published,
    read_published,
    read_verified,
    was_read,
)

if TYPE_CHECKING:
    from storage.catalog.engine import Database

MAPPED_FROM_BYTES = 4 << 20
"""Larger files are mapped: reading a gigabyte into memory of its own takes longer than comparing its hash."""


class _OpenIndex(Protocol):
    def __call__(self, contents: Sequence[Content], *, proven: bool) -> StoredIndex: ...


class PublishedArtefacts:
    """Implements ``continual_dml.ports.Artefacts``; :meth:`open` makes one.

    Args:
        directory: where the files lie.
        generation: what the catalogue says.
        content: its manifest, verified.
        database: the catalogue's, which an index may have its vectors in; needed to open that one.
        proved: names of files whose hashes this process has compared a moment ago, under another name of the
            same file; they are not compared again.

    Raises:
        CorruptIndex: the manifest is none that this cdml wrote.
    """

    def __init__(
        self,
        directory: Path,
        generation: Generation,
        content: bytes,
        database: Database | None = None,
        proved: Collection[str] = (),
    ) -> None:
        manifest = Manifest.from_bytes(content, str(directory / MANIFEST_NAME))
        self.manifest_bytes = content
        self.proved = frozenset(proved)
        self._directory = directory
        self._generation = generation
        self._manifest = manifest
        self._database = database
        self._pinned: dict[str, int] = {}

    @classmethod
    def open(
        cls, directory: Path, generation: Generation, database: Database | None = None
    ) -> PublishedArtefacts:
        """Open a generation's directory; its manifest must have the hash that the catalogue says.

        Raises:
            CorruptIndex: the manifest differs, or speaks of another generation.
            FileNotFoundError: the directory is gone.
        """
        content = read_published(directory / MANIFEST_NAME, None, generation.manifest_sha256)
        opened = cls(directory, generation, content, database)
        found = opened.manifest
        if (found.generation_id, found.parent_id) != (generation.generation_id, generation.parent_id):
            raise CorruptIndex(f"{directory} holds the manifest of another generation: {ADVICE}")
        return opened

    def pin(self) -> None:
        """Keep all files open, so that they stay readable when the directory is removed meanwhile.

        Raises:
            FileNotFoundError: a file is gone already.
        """
        try:
            for name in self._manifest.files:
                self._pinned[name] = open_published(self.path(name))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of pinned files."""
        while self._pinned:
            os.close(self._pinned.popitem()[1])

    @property
    def generation(self) -> Generation:
        """The generation that these files belong to."""
        return self._generation

    @property
    def manifest(self) -> Manifest:
        """The verified manifest."""
        return self._manifest

    @property
    def index_files(self) -> Sequence[str]:
        """Names of the files that the search index is in; not those that it only reads."""
        entry = self._manifest.index
        return [entry.file] if entry.removed_file is None else [entry.file, entry.removed_file]

    @property
    def config(self) -> Mapping[str, Any]:
        """The settings recorded when the generation was built."""
        return self._manifest.config

    def names(self) -> Sequence[str]:
        """Names of all files that a draft writes; what the store adds by itself is not among them."""
        return [name for name in self.all_names() if not is_catalogue_name(name)]

    def all_names(self) -> Sequence[str]:
        """Names of all files."""
        return sorted(self._manifest.files)

    def path(self, name: str) -> Path:
        """Where the named file lies."""
        return self._directory / name

    def read_tensors(self, name: str) -> dict[str, NDArray[Any]]:
        """Return the named arrays of a safetensors file, read-only: they are nowhere but in its bytes.

        Raises:
            CorruptIndex: the file is missing or differs from the manifest.
        """
        where = str(self.path(name))
        with self._opened(name) as (descriptor, entry):
            if entry.size < MAPPED_FROM_BYTES:
                content: Content = read_verified(descriptor, where, entry.size, entry.sha256)
            else:
                content = map_verified(descriptor, where, entry.size, entry.sha256, afresh=True).content
        return view_tensors(content, where)

    def read_json(self, name: str) -> Any:  # noqa: ANN401 - a JSON document
        """Return a parsed JSON file; raises as :meth:`read_tensors`."""
        try:
            return json.loads(self.read_bytes(name))
        except ValueError as error:
            raise CorruptIndex(f"{self.path(name)} is no JSON document ({error}): {ADVICE}") from error

    @property
    def index_bytes(self) -> int:
        """Size of these files."""
        return sum(self._manifest.files[name].size for name in self.index_files)

    def open_index(self, *, afresh: bool = False) -> StoredIndex:
        """Return the search index; ``afresh`` checks all of it again. Raises as :meth:`read_tensors`."""
        entry = self._manifest.index
        index = self._opened_index(entry, afresh=afresh)
        if entry.removed_file is not None:
            index = self._thinned(index, entry.removed_file)
        if (index.dimension, len(index)) != (entry.dimension, entry.items):
            raise CorruptIndex(f"the index in {self._directory} differs from its manifest: {ADVICE}")
        if afresh:
            index.prove()
        return index

    def _opened_index(self, entry: IndexEntry, *, afresh: bool) -> StoredIndex:
        if entry.kind == flat_view.KIND:
            return self._mapped_index(flat_view.FlatViewIndex.from_buffers, entry, afresh=afresh)
        try:
            kind = index_kind(entry.kind, self._database, self._generation.generation_id)
        except KeyError as error:
            raise CorruptIndex(
                f"{self._directory} has an index of unknown kind '{entry.kind}': {ADVICE}"
            ) from error
        if not kind.maps:
            return kind.from_bytes(self.read_bytes(entry.file))

        def opened(contents: Sequence[Content], *, proven: bool) -> StoredIndex:
            return kind.from_buffer(contents[0], proven=proven)

        return self._mapped_index(opened, entry, afresh=afresh)

    def _thinned(self, index: StoredIndex, name: str) -> StoredIndex:
        """Leave out of ``index`` what the named file lists."""
        try:
            thinned = index.without(self.read_tensors(name)["ids"])
        except KeyError as error:
            raise CorruptIndex(f"{self.path(name)} lists no ids: {ADVICE}") from error
        if thinned is None:
            kind = self._manifest.index.kind
            raise CorruptIndex(f"{self._directory} leaves items out of an index of kind '{kind}': {ADVICE}")
        return thinned

    def _mapped_index(self, opened: _OpenIndex, entry: IndexEntry, *, afresh: bool) -> StoredIndex:
        """Return what ``opened`` makes of the index's own file and of those that it reads, all mapped."""
        with ExitStack() as held:
            files = [(name, *held.enter_context(self._opened(name))) for name in (entry.file, *entry.reads)]
            mapped = [
                Mapped(map_proved(descriptor, str(self.path(name)), found.size), proven=False)
                if name in self.proved
                else map_verified(descriptor, str(self.path(name)), found.size, found.sha256, afresh=afresh)
                for name, descriptor, found in files
            ]
            index = opened([one.content for one in mapped], proven=all(one.proven for one in mapped))
            remember_all(
                (descriptor, found.sha256)
                for (_, descriptor, found), one in zip(files, mapped, strict=True)
                if not one.proven
            )
        return index

    def read_bytes(self, name: str) -> bytes:
        """Return the verified content of a file; raises as :meth:`read_tensors`."""
        with self._opened(name) as (descriptor, entry):
            return read_verified(descriptor, str(self.path(name)), entry.size, entry.sha256)

    def verify(self, name: str) -> None:
        """Compare a file's hash, unless this process has read the very file and it did not change since.

        Raises:
            CorruptIndex: as :meth:`read_tensors`.
        """
        with self._opened(name) as (descriptor, entry):
            if not was_read(descriptor, entry.sha256):
                read_verified(descriptor, str(self.path(name)), entry.size, entry.sha256)

    @contextmanager
    def _opened(self, name: str) -> Iterator[tuple[int, FileEntry]]:
        """Yield a descriptor of a file, the pinned one if any, and what the manifest says of it."""
        entry = self._manifest.files.get(name)
        if entry is None:
            raise CorruptIndex(f"the generation in {self._directory} has no file {name}: {ADVICE}")
        pinned = self._pinned.get(name)
        if pinned is not None:
            yield pinned, entry
            return
        try:
            descriptor = open_published(self.path(name))
        except FileNotFoundError as error:
            raise CorruptIndex(f"{self.path(name)} is missing: {ADVICE}") from error
        try:
            yield descriptor, entry
        finally:
            os.close(descriptor)
