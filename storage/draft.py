"""A generation being built, and the order of writes that publishes it, all or nothing.

Files first, each flushed; then the self-test; then the manifest; then the directory gets its name; then rows
that nobody sees; and last one transaction that moves the head. A crash anywhere leaves the old generation or
the new one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from continual_dml.errors import CatalogError, GalleryError, SelfTestFailed, WorkspaceError
from continual_dml.records import (
    Deletion,
    Generation,
    ImageRecord,
    Measurement,
    PartCount,
    Publication,
    Role,
)
from storage import durable, index_files, query_copies
from storage.artefacts import PublishedArtefacts
from storage.catalog import publish, queries
from storage.catalog.engine import Database
from storage.catalog.publish import Reservation
from storage.durable import FileEntry
from storage.failpoints import reach
from storage.json_files import render_json
from storage.library_versions import library_versions
from storage.manifest import MANIFEST_NAME, IndexEntry, Manifest, check_name
from storage.self_test import Sample, run_self_test, sample_of
from storage.tensor_files import render_tensors
from storage.verified_files import sha256_of
from storage.workspace import Workspace


class PublishingDraft:
    """Implements ``continual_dml.ports.Draft``; ``WorkspaceStore.begin`` makes one.

    Args:
        workspace: where to write.
        database: its catalogue, open for writing.
        reservation: the numbers that were given out.
        after_publication: called once the generation is live; must not fail.
    """

    def __init__(
        self,
        workspace: Workspace,
        database: Database,
        reservation: Reservation,
        after_publication: Callable[[], None],
    ) -> None:
        self.generation_id = reservation.generation_id
        self.task_id = reservation.task_id
        self.first_category_id = reservation.first_category_id
        self.first_item_id = reservation.first_item_id
        self._workspace = workspace
        self._database = database
        self._reservation = reservation
        self._after_publication = after_publication
        self._staging = workspace.staging_dir(self.generation_id)
        self._files: dict[str, FileEntry] = {}
        self._index: IndexEntry | None = None
        self._sample: Sample | None = None
        self._query_directories: set[Path] = set()
        self._parent: PublishedArtefacts | None = None
        self.is_open = True
        durable.make_directory(self._staging)
        reach("staging-made")

    def write_tensors(self, name: str, tensors: Mapping[str, NDArray[Any]]) -> None:
        """Write a safetensors file and make it durable.

        Raises:
            WorkspaceError: it was written before, or the disk refuses.
        """
        self._write(name, render_tensors(tensors))

    def write_json(self, name: str, document: object) -> None:
        """Write a JSON file and make it durable; numbers that are not finite become null. Raises as above."""
        self._write(name, render_json(document))

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
            files = index_files.built(kind, ids, vectors)
        for name in files.inherited:
            self.inherit(name)
        for name, content in files.written.items():
            self._write(name, content)
        self._index = files.entry
        self._sample = sample_of(ids, vectors)

    def inherit(self, name: str) -> None:
        """Take an unchanged file over from the parent generation without copying it.

        Raises:
            CatalogError: there is no parent.
            CorruptIndex: the parent's file is missing or damaged.
            WorkspaceError: it was written before, or the disk refuses.
        """
        self._require_open()
        parent = self._parent_artefacts()
        parent.read_bytes(name)
        durable.link_or_copy(parent.path(name), self._staging / name)
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

    def publish(self, publication: Publication, config: Mapping[str, Any]) -> Generation:
        """Check the files through the reader's own code, then make the generation live, all or nothing.

        Raises:
            GalleryError: the self-test failed.
            WorkspaceError: the disk refuses.
            CatalogError: the catalogue refuses.
        """
        self._require_open()
        publish.check_names(self._database, self._reservation.base, publication.new_categories.values())
        new = [item.item_id for item in publication.items if item.role is Role.GALLERY]
        return self._go_live(
            self.task_id,
            self._parent_gallery() + new,
            publication.parts,
            publication.measurements,
            config,
            lambda: publish.insert_rows(self._database, self._reservation, publication),
        )

    def publish_deletion(self, deletion: Deletion, config: Mapping[str, Any]) -> Generation:
        """Make a generation live that is its parent without some images; raises as :meth:`publish`."""
        self._require_open()
        base = self._reservation.base
        if base is None:
            raise CatalogError(f"{self._workspace.root} holds no task yet: there is nothing to delete")
        gone = set(deletion.item_ids)
        return self._go_live(
            base.task_id,
            [item_id for item_id in self._parent_gallery() if item_id not in gone],
            deletion.parts,
            (),
            config,
            lambda: publish.insert_removals(self._database, self.generation_id, deletion),
        )

    def abandon(self) -> None:
        """Remove what was written; the number is never used again. Does nothing after a publication."""
        if not self.is_open:
            return
        self.is_open = False
        publish.abandon(self._database, self.generation_id)
        with self._database.transaction() as connection:
            if queries.is_published(connection, self.generation_id):
                return
            referenced = queries.all_query_hashes(connection)
        durable.remove_tree(self._staging)
        durable.remove_tree(self._workspace.generation_dir(self.generation_id))
        query_copies.sweep(self._workspace, referenced)

    def _go_live(
        self,
        task_id: int,
        gallery_ids: Sequence[int],
        parts: Sequence[PartCount],
        measurements: Sequence[Measurement],
        config: Mapping[str, Any],
        insert_rows: Callable[[], None],
    ) -> Generation:
        manifest = self._manifest(config, task_id)
        content = manifest.to_bytes()
        base = self._reservation.base
        generation = Generation(
            self.generation_id, base.generation_id if base else None, task_id, sha256_of(content),
            self._reservation.started_at,
        )  # fmt: skip
        self._check(generation, manifest, gallery_ids, parts)
        self._make_durable(content)
        insert_rows()
        reach("rows-inserted")
        publish.commit(self._database, generation, parts, measurements)
        self.is_open = False
        reach("committed")
        self._after_publication()
        return generation

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
            self._parent = PublishedArtefacts.open(self._workspace.generation_dir(base.generation_id), base)
        return self._parent

    def _manifest(self, config: Mapping[str, Any], task_id: int) -> Manifest:
        if self._index is None:
            raise GalleryError("the new generation has no index: nothing was published")
        base = self._reservation.base
        return Manifest(
            generation_id=self.generation_id,
            parent_id=base.generation_id if base else None,
            parent_manifest_sha256=base.manifest_sha256 if base else None,
            task_id=task_id,
            created_at=self._reservation.started_at,
            index=self._index,
            files=dict(self._files),
            config=dict(config),
            libraries=library_versions(),
        )

    def _check(
        self,
        generation: Generation,
        manifest: Manifest,
        gallery_ids: Sequence[int],
        parts: Sequence[PartCount],
    ) -> None:
        staged = PublishedArtefacts(self._staging, generation, manifest)
        try:
            run_self_test(staged, gallery_ids, parts, self._sample)
        except SelfTestFailed as error:
            raise SelfTestFailed(
                f"the new generation failed its self-test: {error}; nothing was published, the previous one "
                "stays live"
            ) from error
        reach("self-tested")

    def _parent_gallery(self) -> list[int]:
        base = self._reservation.base
        if base is None:
            return []
        with self._database.transaction() as connection:
            return queries.gallery_ids(connection, base.generation_id)

    def _make_durable(self, manifest: bytes) -> None:
        """Manifest last; then flush the names inside; then the final name; then flush that one."""
        workspace = self._workspace
        durable.write_file(self._staging / MANIFEST_NAME, manifest)
        reach("manifest-written")
        durable.fsync_directory(self._staging)
        reach("staging-synced")
        durable.rename(self._staging, workspace.generation_dir(self.generation_id))
        reach("renamed")
        durable.fsync_directory(workspace.generations_dir)
        for directory in sorted(self._query_directories):
            durable.fsync_directory(directory)
        if self._query_directories:
            durable.fsync_directory(workspace.queries_dir)
        reach("generations-synced")
