"""The tables of the catalogue.

Rows of a task carry the generation that brought them. They are visible in a generation when that one
descends from it (table ``ancestor``, every generation being its own ancestor), so rows of an abandoned
generation never come back, whatever their numbers.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
Id = BigInteger().with_variant(Integer, "sqlite")


class Base(DeclarativeBase):
    """All tables of the catalogue."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)


class Run(Base):
    """One attempt to publish; its number is the generation's and is never given twice."""

    __tablename__ = "run"
    __table_args__ = (CheckConstraint("state IN ('staging', 'committed', 'aborted')", name="state"),)

    generation_id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    task_name: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16))
    started_at: Mapped[str] = mapped_column(String(32))


class Task(Base):
    """One task folder that was learned; or, where ``method`` is ``add``, images added without learning."""

    __tablename__ = "task"

    task_id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    generation_id: Mapped[int] = mapped_column(Id, ForeignKey("run.generation_id"), index=True)
    name: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text)
    method: Mapped[str] = mapped_column(String(64))


class Category(Base):
    """One category; its name is unique among those that a generation sees."""

    __tablename__ = "category"

    category_id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    generation_id: Mapped[int] = mapped_column(Id, ForeignKey("run.generation_id"), index=True)
    name: Mapped[str] = mapped_column(Text)


class Item(Base):
    """One image, in the gallery or held out as a query.

    Where it was deleted and nothing that is kept sees it any more, ``content_hash`` and ``path`` are empty;
    the row stays, so that its number is never given to another image.
    """

    __tablename__ = "item"
    __table_args__ = (
        CheckConstraint("role IN ('gallery', 'query')", name="role"),
        Index(None, "generation_id", "role"),
    )

    item_id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    generation_id: Mapped[int] = mapped_column(Id, ForeignKey("run.generation_id"))
    task_id: Mapped[int] = mapped_column(Id, ForeignKey("task.task_id"), index=True)
    category_id: Mapped[int] = mapped_column(Id, ForeignKey("category.category_id"), index=True)
    role: Mapped[str] = mapped_column(String(16))
    content_hash: Mapped[str] = mapped_column(String(64), index=True)
    path: Mapped[str] = mapped_column(Text)


class Removal(Base):
    """An image that ``generation_id``, and what descends from it, does not see any more.

    ``purged``: generations before it are not kept, so that nothing holds the image.
    """

    __tablename__ = "removal"

    generation_id: Mapped[int] = mapped_column(
        Id, ForeignKey("run.generation_id"), primary_key=True, autoincrement=False
    )
    item_id: Mapped[int] = mapped_column(
        Id, ForeignKey("item.item_id"), primary_key=True, autoincrement=False, index=True
    )
    purged: Mapped[bool] = mapped_column(Boolean)


class Quarantine(Base):
    """A file of a task folder that was left out, and why."""

    __tablename__ = "quarantine"

    task_id: Mapped[int] = mapped_column(Id, ForeignKey("task.task_id"), primary_key=True)
    position: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    path: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)


class GenerationRow(Base):
    """One published generation."""

    __tablename__ = "generation"

    generation_id: Mapped[int] = mapped_column(
        Id, ForeignKey("run.generation_id"), primary_key=True, autoincrement=False
    )
    parent_id: Mapped[int | None] = mapped_column(Id, ForeignKey("generation.generation_id"))
    task_id: Mapped[int] = mapped_column(Id, ForeignKey("task.task_id"))
    manifest_sha256: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[str] = mapped_column(String(32))


class Refusal(Base):
    """A generation that its quality gate keeps from going live by itself; ``reason`` is what failed."""

    __tablename__ = "refusal"

    generation_id: Mapped[int] = mapped_column(
        Id, ForeignKey("run.generation_id"), primary_key=True, autoincrement=False
    )
    reason: Mapped[str] = mapped_column(Text)


class Ancestor(Base):
    """``ancestor_id`` is ``generation_id`` itself or one that it descends from."""

    __tablename__ = "ancestor"

    generation_id: Mapped[int] = mapped_column(
        Id, ForeignKey("generation.generation_id"), primary_key=True, autoincrement=False
    )
    ancestor_id: Mapped[int] = mapped_column(
        Id, ForeignKey("generation.generation_id"), primary_key=True, autoincrement=False
    )


class Head(Base):
    """The single row that says which generation is live; none before the first task."""

    __tablename__ = "head"
    __table_args__ = (CheckConstraint("row_id = 1", name="single_row"),)

    row_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    generation_id: Mapped[int | None] = mapped_column(Id, ForeignKey("generation.generation_id"))


class Tag(Base):
    """A name that keeps a generation from being collected."""

    __tablename__ = "tag"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    generation_id: Mapped[int] = mapped_column(Id, ForeignKey("generation.generation_id"), index=True)


class GalleryPartRow(Base):
    """How many gallery items of one birth generation are in which state."""

    __tablename__ = "gallery_part"

    generation_id: Mapped[int] = mapped_column(
        Id, ForeignKey("generation.generation_id"), primary_key=True, autoincrement=False
    )
    birth_generation_id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    state: Mapped[str] = mapped_column(String(16), primary_key=True)
    items: Mapped[int] = mapped_column(Id)


class MeasurementRow(Base):
    """One retrieval metric; ``value`` is NULL where no query had anything to find."""

    __tablename__ = "measurement"

    generation_id: Mapped[int] = mapped_column(
        Id, ForeignKey("generation.generation_id"), primary_key=True, autoincrement=False
    )
    metric: Mapped[str] = mapped_column(String(32), primary_key=True)
    k: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    scope: Mapped[str] = mapped_column(String(16), primary_key=True)
    task_id: Mapped[int] = mapped_column(Id, ForeignKey("task.task_id"), primary_key=True)
    value: Mapped[float | None] = mapped_column(Double)
    queries: Mapped[int] = mapped_column(Id)
    without_positive: Mapped[int] = mapped_column(Id)
