"""A workspace: one folder with its settings, its catalogue and its published generations.

This module imports nothing heavy, so that ``cdml status`` answers at once.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from continual_dml.errors import CorruptIndex, WorkspaceError
from continual_dml.settings import Settings
from storage import durable, workspace_file
from storage.catalog.address import check_url, redacted, secrets_of
from storage.verified_files import read_published
from storage.workspace_file import INDEX_KINDS, InitialWeights, StorageSettings, WorkspaceFile
from storage.writer_lock import WriterLock

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_WEIGHTS_NAME = "initial-weights.safetensors"
_OWN_NAMES = frozenset({"LOCK", "gen", "queries", _WEIGHTS_NAME, ".cdml.toml.new"})


class Workspace:
    """The paths and the settings of a workspace that exists; :meth:`create` or :meth:`open` make one.

    Args:
        root: the workspace's folder.
        content: what its ``cdml.toml`` says.
    """

    def __init__(self, root: Path, content: WorkspaceFile) -> None:
        self.root = root
        self._content = content

    def __repr__(self) -> str:
        return f"Workspace({str(self.root)!r})"

    @classmethod
    def create(
        cls,
        root: Path,
        settings: Settings,
        database_url: str | None = None,
        initial_weights: bytes | None = None,
        weights_note: Mapping[str, Any] | None = None,
        keep_generations: int = 1,
        index: str = INDEX_KINDS[0],
    ) -> Workspace:
        """Make a workspace; it exists once ``cdml.toml`` does, which is written last.

        Args:
            root: a folder that does not exist, is empty, or was left by an interrupted ``create``.
            settings: fixed for the workspace's life.
            database_url: None for an SQLite file in the workspace.
            initial_weights: the safetensors document that every specialist network starts from.
            weights_note: where these weights come from; plain values.
            keep_generations: how many generations stay on disk, the live one included.
            index: how vectors are searched.

        Raises:
            WorkspaceError: there is a workspace already, or the folder holds something else.
            SettingsError: the database URL, or the kind of index with this database, cannot be used.
            CatalogError: the database cannot be reached or holds the catalogue of another workspace.
        """
        root = Path(os.path.abspath(root))  # noqa: PTH100 - symbolic links are kept as the user named them
        storage = StorageSettings(keep_generations, index)
        if database_url is not None:
            check_url(database_url)
        workspace_file.check_index_place(index, database_url)
        _check_free(root)
        durable.make_directory(root)
        workspace = cls(root, WorkspaceFile(settings, database_url))
        with WriterLock(workspace.lock_file):
            _check_free(root)
            for directory in (workspace.generations_dir, workspace.queries_dir):
                durable.make_directory(directory)
            workspace._make_catalogue(index)
            weights = None
            if initial_weights is not None:
                durable.remove_file(workspace.initial_weights_file)
                entry = durable.write_file(workspace.initial_weights_file, initial_weights)
                weights = InitialWeights(entry, dict(weights_note or {}))
            durable.fsync_directory(root)
            content = WorkspaceFile(settings, database_url, weights, storage)
            secret = database_url is not None and bool(secrets_of(database_url))
            mode = 0o600 if secret else 0o644
            durable.replace_text_atomically(workspace.settings_file, content.to_text(), mode)
        durable.fsync_directory(root.parent)
        return cls(root, content)

    @classmethod
    def open(cls, root: Path) -> Workspace:
        """Open an existing workspace.

        Raises:
            WorkspaceError: there is none, or its ``cdml.toml`` is damaged.
        """
        root = Path(os.path.abspath(root))  # noqa: PTH100 - as in create
        path = root / workspace_file.FILE_NAME
        if not path.is_file():
            raise WorkspaceError(f"no workspace at {root}: run `cdml init -w {root}`")
        return cls(root, workspace_file.read(path))

    @property
    def settings(self) -> Settings:
        """The settings that the workspace was made with."""
        return self._content.settings

    def settings_over(self, beneath: Mapping[str, Any]) -> Settings:
        """Return the settings with those of ``beneath`` (nested plain values) where ``cdml.toml`` has none.

        The model is always what the workspace was made with.

        Raises:
            SettingsError: a value that cannot be.
        """
        return self._content.settings_over(beneath)

    @property
    def said(self) -> Mapping[str, Any]:
        """What ``cdml.toml`` fixes of settings and storage, as nested plain values."""
        return self._content.said

    @property
    def keep_generations(self) -> int:
        """How many generations of the live lineage stay on disk, the live one included."""
        return self._content.storage.keep_generations

    @property
    def index_kind(self) -> str:
        """How the next generation's vectors are searched."""
        return self._content.storage.index

    @property
    def write_vectors_up_to(self) -> int:
        """How many items a ``flat`` index may have whose vectors are written, instead of computed."""
        return self._content.storage.write_vectors_up_to

    @property
    def database_url(self) -> str:
        """The catalogue's address with its password: never for messages, see :attr:`database_label`."""
        return self._content.database_url or f"sqlite:///{self.root / 'catalog.db'}"

    @property
    def names_database(self) -> bool:
        """Whether ``cdml.toml`` names a database; otherwise the catalogue is a file in the workspace."""
        return self._content.database_url is not None

    @property
    def database_label(self) -> str:
        """The catalogue's address, fit for messages."""
        return redacted(self.database_url)

    @property
    def weights_note(self) -> Mapping[str, Any]:
        """Where the initial weights come from; empty without any."""
        return {} if self._content.initial_weights is None else self._content.initial_weights.note

    @property
    def settings_file(self) -> Path:
        """``cdml.toml``."""
        return self.root / workspace_file.FILE_NAME

    @property
    def lock_file(self) -> Path:
        """The file that the one writer locks."""
        return self.root / "LOCK"

    @property
    def generations_dir(self) -> Path:
        """Holds one directory per kept generation."""
        return self.root / "gen"

    @property
    def queries_dir(self) -> Path:
        """Holds the copies of query images, addressed by their content."""
        return self.root / "queries"

    @property
    def leases_dir(self) -> Path:
        """Holds one file per generation that readers lock while they look at it."""
        return self.root / "leases"

    @property
    def initial_weights_file(self) -> Path:
        """The copy of the initial weights, where there are any."""
        return self.root / _WEIGHTS_NAME

    @property
    def checkpoint_file(self) -> Path:
        """The state of an interrupted training, where there is one."""
        return self.root / "interrupted-training"

    @property
    def shards_dir(self) -> Path:
        """What an interrupted ingest has embedded, where there is any."""
        return self.root / "interrupted-embedding"

    def generation_dir(self, generation_id: int) -> Path:
        """Where the files of a published generation lie."""
        return self.generations_dir / f"{generation_id:08d}"

    def staging_dir(self, generation_id: int) -> Path:
        """Where the files of a generation lie while it is built."""
        return self.generations_dir / f".staging-{generation_id:08d}"

    def lease(self, generation_id: int) -> Path:
        """The file that a reader of this generation locks."""
        return self.leases_dir / f"{generation_id:08d}"

    def query_copy(self, content_hash: str) -> Path:
        """Where the copy of a query image with this SHA-256 lies."""
        return self.queries_dir / content_hash[:2] / content_hash

    def initial_weights(self) -> dict[str, NDArray[np.generic]] | None:
        """Return the initial weights by name, or None where training starts from random ones.

        Raises:
            CorruptIndex: the file is missing or differs from what ``cdml.toml`` says.
        """
        content = self.initial_weights_bytes()
        if content is None:
            return None
        from storage.tensor_files import parse_tensors

        return parse_tensors(content, str(self.initial_weights_file))

    def initial_weights_bytes(self) -> bytes | None:
        """Return the verified file of :meth:`initial_weights` as it is; raises as that."""
        weights = self._content.initial_weights
        if weights is None:
            return None
        path = self.initial_weights_file
        try:
            return read_published(path, weights.entry.size, weights.entry.sha256)
        except FileNotFoundError as error:
            raise CorruptIndex(f"{path} is missing: put it back from a backup") from error

    def settings_text_without_database(self) -> str:
        """Return ``cdml.toml`` without the catalogue's address, which may hold a password."""
        return replace(self._content, database_url=None).to_text()

    def _make_catalogue(self, index: str) -> None:
        from storage.catalog import queries, schema
        from storage.catalog.engine import Database
        from storage.index_kinds import require_usable

        with closing(Database(self.database_url, read_only=False)) as database:
            require_usable(index, database)
            schema.migrate(database)
            with database.transaction() as connection:
                taken = queries.unfinished_runs(connection) or queries.head(connection)
        if taken:
            raise WorkspaceError(
                f"the database {self.database_label} holds the catalogue of another workspace: "
                "give an empty one with --database-url"
            )


def numbered(directory: Path) -> list[Path]:
    """Return what in a directory of the workspace is named for a published generation, oldest first."""
    try:
        found = [path for path in directory.iterdir() if path.name.isdigit()]
    except FileNotFoundError:
        return []
    return sorted(found, key=lambda path: int(path.name))


def _check_free(root: Path) -> None:
    if (root / workspace_file.FILE_NAME).exists():
        raise WorkspaceError(
            f"a workspace exists already at {root}: use it, or choose another folder with -w"
        )
    if not root.is_dir():
        if root.exists():
            raise WorkspaceError(f"{root} is a file: choose another folder with -w")
        return
    foreign = [
        entry.name
        for entry in root.iterdir()
        if entry.name not in _OWN_NAMES and not entry.name.startswith("catalog.db")
    ]
    if foreign:
        raise WorkspaceError(
            f"{root} holds other files (such as {sorted(foreign)[0]}): choose an empty folder with -w"
        )
