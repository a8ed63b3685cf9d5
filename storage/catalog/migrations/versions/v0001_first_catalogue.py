"""The first catalogue: runs, tasks, categories, items, quarantine, generations and their measurements."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create all tables and the single row of ``head``."""
    _create_task_tables()
    _create_generation_tables()
    _create_result_tables()
    op.execute("INSERT INTO head (row_id, generation_id) VALUES (1, NULL)")


def _id(name: str, references: str | None = None, *, nullable: bool = False) -> sa.Column[int]:
    target = () if references is None else (sa.ForeignKey(references),)
    return sa.Column(name, _ID, *target, nullable=nullable, autoincrement=False)


def _text(name: str, length: int | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.Text() if length is None else sa.String(length), nullable=False)


def _create_task_tables() -> None:
    op.create_table(
        "run",
        _id("generation_id"),
        _text("task_name"),
        _text("state", 16),
        _text("started_at", 32),
        sa.PrimaryKeyConstraint("generation_id"),
        sa.CheckConstraint("state IN ('staging', 'committed', 'aborted')", name="state"),
    )
    op.create_table(
        "task",
        _id("task_id"),
        _id("generation_id", "run.generation_id"),
        _text("name"),
        _text("source"),
        _text("method", 64),
        sa.PrimaryKeyConstraint("task_id"),
    )
    op.create_table(
        "category",
        _id("category_id"),
        _id("generation_id", "run.generation_id"),
        _text("name"),
        sa.PrimaryKeyConstraint("category_id"),
    )
    op.create_table(
        "item",
        _id("item_id"),
        _id("generation_id", "run.generation_id"),
        _id("task_id", "task.task_id"),
        _id("category_id", "category.category_id"),
        _text("role", 16),
        _text("content_hash", 64),
        _text("path"),
        sa.PrimaryKeyConstraint("item_id"),
        sa.CheckConstraint("role IN ('gallery', 'query')", name="role"),
    )
    op.create_table(
        "quarantine",
        _id("task_id", "task.task_id"),
        _id("position"),
        _text("path"),
        _text("reason"),
        sa.PrimaryKeyConstraint("task_id", "position"),
    )
    op.create_index("ix_task_generation_id", "task", ["generation_id"])
    op.create_index("ix_category_generation_id", "category", ["generation_id"])
    op.create_index("ix_item_generation_id_role", "item", ["generation_id", "role"])
    for column in ("task_id", "category_id", "content_hash"):
        op.create_index(f"ix_item_{column}", "item", [column])


def _create_generation_tables() -> None:
    op.create_table(
        "generation",
        _id("generation_id", "run.generation_id"),
        _id("parent_id", "generation.generation_id", nullable=True),
        _id("task_id", "task.task_id"),
        _text("manifest_sha256", 64),
        _text("created_at", 32),
        sa.PrimaryKeyConstraint("generation_id"),
    )
    op.create_table(
        "ancestor",
        _id("generation_id", "generation.generation_id"),
        _id("ancestor_id", "generation.generation_id"),
        sa.PrimaryKeyConstraint("generation_id", "ancestor_id"),
    )
    op.create_table(
        "head",
        sa.Column("row_id", sa.Integer(), nullable=False, autoincrement=False),
        _id("generation_id", "generation.generation_id", nullable=True),
        sa.PrimaryKeyConstraint("row_id"),
        sa.CheckConstraint("row_id = 1", name="single_row"),
    )


def _create_result_tables() -> None:
    op.create_table(
        "gallery_part",
        _id("generation_id", "generation.generation_id"),
        _id("birth_generation_id"),
        _text("state", 16),
        _id("items"),
        sa.PrimaryKeyConstraint("generation_id", "birth_generation_id", "state"),
    )
    op.create_table(
        "measurement",
        _id("generation_id", "generation.generation_id"),
        _text("metric", 32),
        sa.Column("k", sa.Integer(), nullable=False, autoincrement=False),
        _text("scope", 16),
        _id("task_id", "task.task_id"),
        sa.Column("value", sa.Double(), nullable=True),
        _id("queries"),
        _id("without_positive"),
        sa.PrimaryKeyConstraint("generation_id", "metric", "k", "scope", "task_id"),
    )
