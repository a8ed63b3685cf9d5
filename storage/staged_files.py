"""The files of a generation that is being built, each durable as soon as it is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from continual_dml.errors import CatalogError, WorkspaceError
from continual_dml.records import ImageRecord, ViewPart
from storage import durable, index_files, query_copies, view_files
from storage.artefacts import PublishedArtefacts
from storage.catalog.engine import Database
from storage.catalog.publish import Reservation
from storage.durable import FileEntry
from storage.failpoints import reach
from storage.index_kinds import index_kind
from storage.json_files import render_json
from storage.manifest import IndexEntry, check_name
from storage.self_test import Sample, sample_of
from storage.tensor_files import render_tensors
from storage.workspace import Workspace
from storage.workspace_file import INDEX_KINDS


class StagedFiles:
    """The staging directory of the generation that ``reservation`` gave numbers to."""

    def __init__(self, workspace: Workspace, database: Database, reservation: Reservation) -> None:
        self.generation_id = reservation.generation_id
        self.is_open = True
        self._workspace = workspace
        self._database = database
        self._reservation = reservation
        self._staging = workspace.staging_dir(self.generation_id)
        self._files: dict[str, FileEntry] = {}
        self._linked: set[str] = set()
        self._index: IndexEntry | None = None
        self._sample: Sample | None = None
        self._query_directories: set[Path] = set()
        self._parent: PublishedArtefacts | None = None
        durable.make_directory(self._staging)

    def write_tensors(self, name: str, tensors: Mapping[str, NDArray[Any]]) -> None:
        """Write a safetensors file and make it durable.

        Raises:
            WorkspaceError: it was written before, or the disk refuses.
        """
        self._write(name, render_tensors(tensors))

    def write_json(self, name: str, document: object) -> None:
        """Write a JSON file and make it durable; numbers that are not finite become null. Raises as above."""
        self._write(name, render_json(document))

    def write_bytes(self, name: str, content: bytes) -> None:
        """Write a file and make it durable. Raises as :meth:`write_tensors`."""
        self._write(name, content)

    def write_index(
        self, ids: NDArray[np.int64], vectors: NDArray[np.float32], *, thin: bool = False
    ) -> None:
        """Write the search index over unit ``vectors`` (N, D) with ``ids`` (N,).

        Args:
            ids: of the items.
            vectors: theirs.
            thin: the parent's index holds these very vectors, and others that may stay in its file.

        Raises:
            GalleryError: ids occur twice, or a vector is not finite or not of unit length.
            WorkspaceError: it was written before, or the disk refuses.
        """
        kind = self._workspace.index_kind
        files = index_files.thinned(self._parent_artefacts(), kind, ids, vectors) if thin else None
        if files is None:
            made_by = index_kind(kind, self._database, self.generation_id)
            files = index_files.built(kind, made_by, ids, vectors)
        self._take(files.written, files.inherited)
        self._index = files.entry
        self._sample = sample_of(ids, vectors)

    @property
    def takes_views(self) -> bool:
        """Whether an index that computes its vectors is of the kind that the workspace wants: ``flat``."""
        return self._workspace.index_kind == INDEX_KINDS[0]

    def wants_views(self, items: int) -> bool:
        """Whether a gallery of so many items is large enough for such an index, and it is of that kind."""
        return self.takes_views and items > self._workspace.write_vectors_up_to

    def write_view_index(self, parts: Sequence[ViewPart]) -> None:
        """Write a search index that computes vectors from features.

        Args:
            parts: one or more; their files were written or taken over before.

        Raises:
            GalleryError: a file of a part is missing or of another shape than the others, an id occurs twice,
                or a vector has no length that could be made 1.
            WorkspaceError: the index was written before, or the disk refuses.
        """
        self._require_open()
        same = self._linked & {name for part in parts if part.lengths is None for name in _files_of(part)}
        known = view_files.measured_before(self._parent_artefacts(), same) if same else {}
        files, self._sample = view_files.viewed(parts, self._staging, self._files, known)
        self._take(files.written, files.inherited)
        self._index = files.entry

    def inherit(self, name: str) -> None:
        """Take an unchanged file over from the parent generation without copying it.

        Raises:
            CatalogError: there is no parent.
            CorruptIndex: the parent's file is missing or damaged.
            WorkspaceError: it was written before, or the disk refuses.
        """
        self._require_open()
        parent = self._parent_artefacts()
        parent.verify(name)
        if durable.link_or_copy(parent.path(name), self._staging / name):
            self._linked.add(name)
        self._files[name] = parent.manifest.files[name]
        if name == parent.manifest.index.file:
            self._index = parent.manifest.index
        reach("artefact-written")

    def keep_query_copy(self, record: ImageRecord) -> None:
        """Keep the workspace's own copy of a query image, addressed by its content.

        Raises:
            WorkspaceError: the image changed since it was read, or the disk refuses.
        """
        self._require_open()
        self._query_directories.add(query_copies.keep_copy(self._workspace, record))
        reach("query-copied")

    def _take(self, written: Mapping[str, bytes], inherited: Iterable[str]) -> None:
        for name in inherited:
            self.inherit(name)
        for name, content in written.items():
            self._write(name, content)

    def _write(self, name: str, content: bytes) -> None:
        self._require_open()
        path = self._staging / check_name(name)
        self._files[name] = durable.write_file(path, content)
        reach("artefact-written")

    def _require_open(self) -> None:
        if not self.is_open:
            raise WorkspaceError(
                f"generation {self.generation_id} is finished already: begin a new one to write more"
            )

    def _parent_artefacts(self) -> PublishedArtefacts:
        base = self._reservation.base
        if base is None:
            raise CatalogError(f"the first generation of {self._workspace.root} has nothing to inherit")
        if self._parent is None:
            directory = self._workspace.generation_dir(base.generation_id)
            self._parent = PublishedArtefacts.open(directory, base, self._database)
        return self._parent


def _files_of(part: ViewPart) -> tuple[str, str]:
    return part.items_file, part.map_file
