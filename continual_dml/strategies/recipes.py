"""The methods by name: which terms of the objective each one uses, and with which weight."""

from __future__ import annotations

from dataclasses import dataclass

from continual_dml.errors import UnknownChoice
from continual_dml.settings import METHODS, TrainingSettings


@dataclass(frozen=True, slots=True)
class Recipe:
    """Weights of the objective's terms in every task but the first; zero switches a term off.

    ``learns`` is False for the method that never trains after the first task; ``specialist`` says whether a
    second network learns the new task alongside; ``averaging`` whether weights are averaged over tasks.
    """

    learns: bool = True
    specialist: bool = False
    averaging: bool = False
    old_relations: float = 0.0
    mutual: float = 0.0
    virtual: float = 0.0
    anchor: float = 0.0

    @property
    def needs_old_outputs(self) -> bool:
        """Whether the previous model's outputs on the new images are part of the objective."""
        return self.old_relations > 0 or self.virtual > 0 or self.anchor > 0


def recipe_for(settings: TrainingSettings) -> Recipe:
    """Return the recipe of ``settings.method``."""
    weights = settings.objective
    recipes = {
        "finetune": Recipe(),
        "frozen": Recipe(learns=False),
        "relation-distillation": Recipe(old_relations=weights.old_relations),
        "feature-distillation": Recipe(anchor=max(weights.anchor, 1.0)),
        "mutual-distillation": Recipe(
            specialist=weights.mutual > 0,
            averaging=settings.averaging,
            old_relations=weights.old_relations,
            mutual=weights.mutual,
            virtual=weights.virtual,
            anchor=weights.anchor,
        ),
    }
    if settings.method not in recipes:
        raise UnknownChoice("method", settings.method, METHODS)
    return recipes[settings.method]
