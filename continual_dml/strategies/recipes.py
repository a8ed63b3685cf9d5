"""The methods by name: which terms of the objective each one uses, and with which weight."""

from __future__ import annotations

from dataclasses import dataclass, replace

from continual_dml.errors import UnknownChoice
from continual_dml.settings import METHODS, ObjectiveWeights, TrainingSettings


@dataclass(frozen=True, slots=True)
class Recipe:
    """Weights of the objective's terms in every task but the first; zero switches a term off.

    ``learns`` is False for the method that never trains after the first task; ``averaging`` says whether
    weights are averaged over tasks; ``sums_virtual`` whether the virtual terms of earlier tasks are summed,
    as published, instead of averaged; ``guarded_virtual`` whether their weights are kept from cancelling out.
    """

    learns: bool = True
    averaging: bool = False
    old_relations: float = 0.0
    mutual: float = 0.0
    virtual: float = 0.0
    anchor: float = 0.0
    soft_labels: float = 0.0
    discrepancy: float = 0.0
    sums_virtual: bool = False
    guarded_virtual: bool = True

    @property
    def specialist(self) -> bool:
        """Whether a second network learns the new task alongside."""
        return self.mutual > 0

    @property
    def needs_old_outputs(self) -> bool:
        """Whether the previous model's outputs on the new images are part of the objective."""
        terms = (self.old_relations, self.virtual, self.anchor, self.soft_labels, self.discrepancy)
        return any(weight > 0 for weight in terms)


_RECIPES = {
    "mutual-distillation": Recipe(averaging=True, old_relations=3.0, mutual=5.0, anchor=0.2),
    "online-mutual-distillation": Recipe(old_relations=10.0, mutual=0.5, virtual=10.0, sums_virtual=True),
    "finetune": Recipe(),
    "frozen": Recipe(learns=False),
    "relation-distillation": Recipe(old_relations=10.0),
    "feature-distillation": Recipe(anchor=1.0),
    "lwf": Recipe(soft_labels=0.04),
    "mmd": Recipe(soft_labels=0.04, discrepancy=1.0),
}


def recipe_for(settings: TrainingSettings) -> Recipe:
    """Return the recipe of ``settings.method``, with the weights that the settings replace."""
    if settings.method not in _RECIPES:
        raise UnknownChoice("method", settings.method, METHODS)
    recipe = _RECIPES[settings.method]
    return replace(
        _reweighted(recipe, settings.objective),
        averaging=recipe.averaging and settings.averaging,
        guarded_virtual=settings.objective.guarded_virtual,
    )


def _reweighted(recipe: Recipe, weights: ObjectiveWeights) -> Recipe:
    return replace(
        recipe,
        old_relations=_first(weights.old_relations, recipe.old_relations),
        mutual=_first(weights.mutual, recipe.mutual),
        virtual=_first(weights.virtual, recipe.virtual),
        anchor=_first(weights.anchor, recipe.anchor),
        soft_labels=_first(weights.soft_labels, recipe.soft_labels),
        discrepancy=_first(weights.discrepancy, recipe.discrepancy),
    )


def _first(wanted: float | None, otherwise: float) -> float:
    return otherwise if wanted is None else wanted
