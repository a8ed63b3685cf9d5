from __future__ import annotations

from contextlib import closing

import pytest
from sqlalchemy import text

from continual_dml.errors import CatalogError, SchemaTooNew
from storage.catalog.engine import Database
from storage.catalog.schema import alembic_config, check_schema, migrate
from storage.catalog.tables import Base
from storage.catalog.version import REVISION
from storage.reader import WorkspaceReader
from storage.store import WorkspaceStore
from storage.summary import read_status


@pytest.fixture
def database(tmp_path):
    with closing(Database(f"sqlite:///{tmp_path / 'catalog.db'}", read_only=False)) as opened:
        yield opened


def _set_revision(workspace, revision):
    with (
        closing(Database(workspace.database_url, read_only=False)) as opened,
        opened.transaction() as connection,
    ):
        connection.execute(text("UPDATE alembic_version SET version_num = :r"), {"r": revision})


def test_the_migrations_make_exactly_the_tables_that_the_code_uses(database):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    migrate(database)
    with database.transaction() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_the_newest_migration_is_the_revision_that_the_code_names():
    from alembic.script import ScriptDirectory

    assert ScriptDirectory.from_config(alembic_config()).get_current_head() == REVISION


def test_migrating_twice_changes_nothing(database):
    migrate(database)
    migrate(database)
    with database.transaction() as connection:
        assert connection.execute(text("SELECT COUNT(*) FROM head")).scalar() == 1


def test_a_catalogue_of_a_newer_cdml_is_refused_by_everyone(workspace):
    _set_revision(workspace, "9999")
    for opened in (WorkspaceStore(workspace), WorkspaceReader(workspace)):
        with pytest.raises(SchemaTooNew, match="install a newer cdml"), opened:
            pass
    with pytest.raises(SchemaTooNew):
        read_status(workspace)


def test_an_older_catalogue_tells_a_reader_what_brings_it_up_to_date(workspace):
    _set_revision(workspace, "0000")
    with pytest.raises(CatalogError, match="older than"), WorkspaceReader(workspace):
        pass
    with pytest.raises(CatalogError, match="older than"):
        read_status(workspace)


def test_a_database_without_catalogue_is_named(database):
    with pytest.raises(CatalogError, match="holds no cdml catalogue"):
        check_schema(database)


def test_a_reader_cannot_write(workspace):
    refused = pytest.raises(CatalogError, match="readonly")
    with (
        closing(Database(workspace.database_url, read_only=True)) as opened,
        refused,
        opened.transaction() as one,
    ):
        one.execute(text("UPDATE head SET generation_id = NULL"))


def test_the_writer_commits_durably_and_checks_references(workspace):
    with closing(Database(workspace.database_url, read_only=False)) as opened:
        with opened.transaction() as connection:
            values = [
                connection.execute(text(f"PRAGMA {name}")).scalar()
                for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            ]
        assert values == ["wal", 2, 1, 10_000]
        with pytest.raises(CatalogError, match="FOREIGN KEY"), opened.transaction() as connection:
            connection.execute(text("UPDATE head SET generation_id = 77"))
