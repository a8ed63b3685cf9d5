"""Weights of the terms of the objective."""

from __future__ import annotations

from dataclasses import dataclass

from continual_dml.settings.checks import between

_WEIGHTS = ("old_relations", "mutual", "virtual", "anchor", "soft_labels", "discrepancy")


@dataclass(frozen=True, slots=True)
class ObjectiveWeights:
    """Weights of the terms of the objective; docs/methods.md shows the sum.

    A weight that is None is what the method says (``continual_dml/strategies/recipes.py``); a number replaces
    it, and 0 switches the term off. ``guarded_virtual`` keeps the weights of virtual features from cancelling
    out; False is the published form.
    """

    old_relations: float | None = None
    mutual: float | None = None
    virtual: float | None = None
    anchor: float | None = None
    soft_labels: float | None = None
    discrepancy: float | None = None
    relation_temperature: float = 4.0
    guarded_virtual: bool = True

    def __post_init__(self) -> None:
        for name in _WEIGHTS:
            weight = getattr(self, name)
            if weight is not None:
                between(name, weight, 0.0, 1e6)
        between("relation_temperature", self.relation_temperature, 1e-3, 1e3)
