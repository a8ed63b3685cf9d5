"""What single queries found, and which categories are found, missed and confused, ready to be shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SHOWN_PLACES = 5
SHOWN_CATEGORIES = 10


@dataclass(frozen=True, slots=True)
class Tile:
    """An image: its number and category; ``right``: whether that is the query's, None for a query itself."""

    item: int
    category: str
    similarity: float | None = None
    right: bool | None = None


@dataclass(frozen=True, slots=True)
class Retrieval:
    """A query and its nearest items; ``margin``: by how much a wrong one is nearer than a right one."""

    query: Tile
    found: list[Tile]
    margin: float | None = None


@dataclass(frozen=True, slots=True)
class CategoryRow:
    """Of a category's ``queries``, ``found`` have an item of it nearest; ``recall`` is their share."""

    name: str
    queries: int
    found: int
    recall: float


@dataclass(frozen=True, slots=True)
class ConfusedPair:
    """``queries`` of the ``asked`` of category ``asked_name`` have one of ``answered_name`` nearest."""

    asked_name: str
    answered_name: str
    queries: int
    asked: int
    examples: list[tuple[Tile, Tile]]


class Retrievals:
    """The details of a report with names for categories.

    Args:
        details: see ``continual_dml.workflows.report_details``.
        names: of categories by id.
    """

    def __init__(self, details: Mapping[str, Any], names: Mapping[int, str]) -> None:
        self._names = names
        counted = {one["category"]: one for one in details["categories"]}
        rows = [
            CategoryRow(self._name(number), one["queries"], one["found"], one["found"] / one["queries"])
            for number, one in counted.items()
        ]
        self.categories = len(rows)
        self.worst_categories = sorted(rows, key=lambda one: (one.recall, -one.queries, one.name))
        self.best_categories = sorted(rows, key=lambda one: (-one.recall, -one.queries, one.name))
        if len(rows) > SHOWN_CATEGORIES:
            self.worst_categories = self.worst_categories[:SHOWN_CATEGORIES]
            self.best_categories = self.best_categories[:SHOWN_CATEGORIES]
        else:
            self.best_categories = []
        self.confusions = [
            ConfusedPair(
                self._name(one["asked"]),
                self._name(one["answered"]),
                one["queries"],
                counted[one["asked"]]["queries"],
                [self._pair(one, example) for example in one["examples"]],
            )
            for one in details["confusions"]
        ]
        self.samples = [self._retrieval(one) for one in details["samples"]]
        self.worst = [self._retrieval(one) for one in details["worst"]]

    def items(self) -> set[int]:
        """Return the numbers of all images that are shown."""
        queries = [*self.samples, *self.worst]
        tiles = [tile for one in queries for tile in (one.query, *one.found)]
        tiles += [tile for one in self.confusions for pair in one.examples for tile in pair]
        return {tile.item for tile in tiles}

    def _name(self, category: int) -> str:
        return self._names.get(category, f"category {category}")

    def _pair(self, confusion: Mapping[str, Any], example: Mapping[str, Any]) -> tuple[Tile, Tile]:
        query = Tile(example["query"], self._name(confusion["asked"]))
        answered = self._name(confusion["answered"])
        return query, Tile(example["nearest"], answered, example["similarity"], right=False)

    def _retrieval(self, one: Mapping[str, Any]) -> Retrieval:
        found = [
            Tile(
                near["item"],
                self._name(near["category"]),
                near["similarity"],
                near["category"] == one["category"],
            )
            for near in one["neighbours"][:SHOWN_PLACES]
        ]
        return Retrieval(Tile(one["item"], self._name(one["category"])), found, one.get("margin"))
