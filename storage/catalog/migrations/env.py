"""Alembic's entry point: runs the revisions on the connection that ``storage.catalog.schema`` hands over."""

from __future__ import annotations

from alembic import context

from storage.catalog.tables import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
with context.begin_transaction():
    context.run_migrations()
