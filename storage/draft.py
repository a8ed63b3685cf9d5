"""A generation being built, and the order of writes that publishes it, all or nothing.

Files first, each flushed; then the self-test; then the manifest; then the directory gets its name; then rows
that nobody sees; and last one transaction that moves the head. A crash anywhere leaves the old generation or
the new one. One that its quality gate refused goes the same way, and the last transaction leaves the head.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from continual_dml.errors import CatalogError, GalleryError, SelfTestFailed
from continual_dml.records import (
    Deletion,
    GalleryRefresh,
    Generation,
    Measurement,
    PartCount,
    Publication,
    Role,
)
from storage import catalogue_files, durable, query_copies
from storage.artefacts import PublishedArtefacts
from storage.catalog import publish, queries, rows
from storage.catalog.engine import Database
from storage.catalog.publish import Reservation
from storage.catalog.rows import Rows
from storage.failpoints import reach
from storage.library_versions import library_versions
from storage.manifest import MANIFEST_NAME, Manifest
from storage.pgvector.sweep import drop_unneeded
from storage.self_test import run_self_test
from storage.staged_files import StagedFiles
from storage.verified_files import sha256_of
from storage.workspace import Workspace


class PublishingDraft(StagedFiles):
    """Implements ``continual_dml.ports.Draft``; ``WorkspaceStore.begin`` makes one.

    Args:
        workspace: where to write.
        database: its catalogue, open for writing.
        reservation: the numbers that were given out.
        gallery_of: returns the ids (N,) of the gallery items that a generation sees, ascending.
        after_publication: called once the generation is published; must not fail.
    """

    def __init__(
        self,
        workspace: Workspace,
        database: Database,
        reservation: Reservation,
        gallery_of: Callable[[int], NDArray[np.int64]],
        after_publication: Callable[[], None],
    ) -> None:
        super().__init__(workspace, database, reservation)
        self.task_id = reservation.task_id
        self.first_category_id = reservation.first_category_id
        self.first_item_id = reservation.first_item_id
        self._gallery_of = gallery_of
        self._after_publication = after_publication
        reach("staging-made")

    def publish(self, publication: Publication, config: Mapping[str, Any]) -> Generation:
        """Check the files through the reader's own code, then make the generation live, all or nothing.

        One with a ``refusal`` is published as any other, but the live generation stays.

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
            self._parent_gallery_and(new),
            rows.of_publication(self.generation_id, self.task_id, publication),
            publication.parts,
            publication.measurements,
            config,
        )

    def publish_addition(self, addition: Publication, config: Mapping[str, Any]) -> Generation:
        """Make a generation live that is its parent with further images; raises as :meth:`publish`."""
        self._require_open()
        base = self._reservation.base
        if base is None:
            raise CatalogError(f"{self._workspace.root} holds no task yet: there is nothing to add to")
        publish.check_names(self._database, base, addition.new_categories.values())
        new = [item.item_id for item in addition.items]
        return self._go_live(
            base.task_id,
            self._parent_gallery_and(new),
            rows.of_publication(self.generation_id, self.task_id, addition),
            addition.parts,
            (),
            config,
        )

    def publish_refresh(self, refresh: GalleryRefresh, config: Mapping[str, Any]) -> Generation:
        """Make a generation live that is its parent with other vectors; raises as :meth:`publish`."""
        self._require_open()
        base = self._reservation.base
        if base is None:
            raise CatalogError(f"{self._workspace.root} holds no task yet: there is nothing to refresh")
        return self._go_live(
            base.task_id,
            self._parent_gallery(),
            [rows.of_refusal(self.generation_id, refresh.refusal)],
            refresh.parts,
            refresh.measurements,
            config,
        )

    def publish_deletion(self, deletion: Deletion, config: Mapping[str, Any]) -> Generation:
        """Make a generation live that is its parent without some images; raises as :meth:`publish`."""
        self._require_open()
        base = self._reservation.base
        if base is None:
            raise CatalogError(f"{self._workspace.root} holds no task yet: there is nothing to delete")
        gone = np.array(deletion.item_ids, dtype=np.int64)
        return self._go_live(
            base.task_id,
            np.setdiff1d(self._parent_gallery(), gone),
            rows.of_deletion(self.generation_id, deletion),
            deletion.parts,
            (),
            config,
            deletion.item_ids,
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
        drop_unneeded(self._workspace, self._database)

    def _go_live(
        self,
        task_id: int,
        gallery_ids: NDArray[np.int64],
        brought: Sequence[Rows],
        parts: Sequence[PartCount],
        measurements: Sequence[Measurement],
        config: Mapping[str, Any],
        removed: Sequence[int] = (),
    ) -> Generation:
        results = rows.of_results(self.generation_id, parts, measurements)
        self._write_catalogue([*brought, *results], removed)
        manifest = self._manifest(config, task_id)
        content = manifest.to_bytes()
        base = self._reservation.base
        generation = Generation(
            self.generation_id, base.generation_id if base else None, task_id, sha256_of(content),
            self._reservation.started_at,
        )  # fmt: skip
        self._check(generation, content, gallery_ids, parts)
        self._make_durable(content)
        rows.insert_in_chunks(self._database, brought)
        reach("rows-inserted")
        publish.commit(self._database, generation, parts, measurements)
        self.is_open = False
        reach("committed")
        self._after_publication()
        return generation

    def _write_catalogue(self, brought: Sequence[Rows], removed: Sequence[int]) -> None:
        parent = None if self._reservation.base is None else self._parent_artefacts()
        with self._database.transaction() as connection:
            found = catalogue_files.files_of_next(connection, self._reservation, parent, brought, removed)
        self._take(found.written, found.inherited)

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
        manifest: bytes,
        gallery_ids: NDArray[np.int64],
        parts: Sequence[PartCount],
    ) -> None:
        staged = PublishedArtefacts(self._staging, generation, manifest, self._database, self._linked)
        try:
            run_self_test(staged, gallery_ids, parts, self._sample)
        except SelfTestFailed as error:
            raise SelfTestFailed(
                f"the new generation failed its self-test: {error}; nothing was published, the previous one "
                "stays live"
            ) from error
        reach("self-tested")

    def _parent_gallery(self) -> NDArray[np.int64]:
        base = self._reservation.base
        return np.empty(0, dtype=np.int64) if base is None else self._gallery_of(base.generation_id)

    def _parent_gallery_and(self, new: Sequence[int]) -> NDArray[np.int64]:
        return np.concatenate([self._parent_gallery(), np.array(new, dtype=np.int64)])

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
