"""Brings the catalogue's schema up to date, and refuses one that this cdml does not know."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from storage.catalog.engine import Database, revision_of
from storage.catalog.version import REVISION, check_revision

if TYPE_CHECKING:
    from alembic.config import Config


def alembic_config() -> Config:
    """Return the configuration that points at the migrations shipped with this package."""
    from alembic.config import Config

    config = Config()
    folder = str(Path(__file__).parent / "migrations")
    config.set_main_option("script_location", folder.replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def migrate(database: Database) -> None:
    """Create the tables, or bring older ones up to date, in one transaction.

    Raises:
        SchemaTooNew: a newer cdml wrote the catalogue.
        CatalogError: the database refuses.
    """
    from alembic import command

    with database.transaction() as connection:
        found = revision_of(connection)
        if found == REVISION:
            return
        if found is not None and found > REVISION:
            check_revision(found, database.label)
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def check_schema(database: Database) -> None:
    """Accept a catalogue whose schema is exactly ours, without touching it.

    Raises:
        SchemaTooNew: a newer cdml wrote it.
        CatalogError: it is older, missing, or cannot be read.
    """
    with database.transaction() as connection:
        found = revision_of(connection)
    check_revision(found, database.label)
