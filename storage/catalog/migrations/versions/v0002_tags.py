"""Tags: names that keep a generation."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the table ``tag``."""
    op.create_table(
        "tag",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("generation_id", _ID, sa.ForeignKey("generation.generation_id"), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_index("ix_tag_generation_id", "tag", ["generation_id"])
