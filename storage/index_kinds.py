"""Every kind of index by its name: those in a file, and the one that needs the catalogue's database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from continual_dml.errors import GalleryError
from storage.index import INDEXES
from storage.index.stored import IndexKind
from storage.workspace_file import PGVECTOR

if TYPE_CHECKING:
    from storage.catalog.engine import Database


def index_kind(name: str, database: Database | None, generation_id: int) -> IndexKind:
    """Return the kind of index called ``name``, for the files of one generation.

    Args:
        name: one of ``INDEXES``, or ``pgvector``.
        database: the catalogue's; None where the files alone are looked at.
        generation_id: the generation's.

    Raises:
        KeyError: there is no such kind.
        GalleryError: it needs the database, and none was given.
    """
    if name != PGVECTOR:
        return INDEXES[name]
    if database is None:
        raise GalleryError(
            "an index in PostgreSQL was opened without it: this is a defect of cdml, please report it"
        )
    from storage.pgvector.index import PgvectorKind

    return PgvectorKind(database, generation_id)


def require_usable(name: str, database: Database) -> None:
    """Accept a kind of index that can be built beside this catalogue.

    Raises:
        SettingsError: it cannot; says what it needs.
        CatalogError: the database cannot be reached.
    """
    if name == PGVECTOR:
        from storage.pgvector.tables import require_extension

        require_extension(database)
