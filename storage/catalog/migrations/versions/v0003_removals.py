"""Removals: images that were deleted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the table ``removal``."""
    op.create_table(
        "removal",
        sa.Column(
            "generation_id", _ID, sa.ForeignKey("run.generation_id"), nullable=False, autoincrement=False
        ),
        sa.Column("item_id", _ID, sa.ForeignKey("item.item_id"), nullable=False, autoincrement=False),
        sa.Column("purged", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("generation_id", "item_id"),
    )
    op.create_index("ix_removal_item_id", "removal", ["item_id"])
