"""Refusals: generations that their quality gate keeps from going live by themselves."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the table ``refusal``."""
    op.create_table(
        "refusal",
        sa.Column(
            "generation_id", _ID, sa.ForeignKey("run.generation_id"), nullable=False, autoincrement=False
        ),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("generation_id"),
    )
