"""Frozen, validated settings. Units stand in the names; defaults are the recipe of docs/methods.md."""

from continual_dml.settings.budget import NO_LIMIT, RefreshBudget
from continual_dml.settings.cohort import COHORT_PENALTIES, COHORT_RELATIONS, CohortSettings
from continual_dml.settings.gate import GateSettings
from continual_dml.settings.measuring import EvaluationSettings, StreamSettings
from continual_dml.settings.model import ENSEMBLES, FEATURE_MAPS, ModelSettings
from continual_dml.settings.objective import ObjectiveWeights
from continual_dml.settings.self_distillation import (
    SELF_DISTILLATION_TEACHERS,
    SELF_DISTILLATIONS,
    SelfDistillationSettings,
)
from continual_dml.settings.training import (
    CLASS_RANK,
    DEVICES,
    HEADS,
    LOSSES,
    METHODS,
    PRECISIONS,
    PRETRAINED_RATE,
    REFRESH_AGAIN,
    REFRESH_MODES,
    SCRATCH_RATE,
    TRIPLET_MINERS,
    TrainingSettings,
)
from continual_dml.settings.whole import Settings

__all__ = [
    "CLASS_RANK",
    "COHORT_PENALTIES",
    "COHORT_RELATIONS",
    "DEVICES",
    "ENSEMBLES",
    "FEATURE_MAPS",
    "HEADS",
    "LOSSES",
    "METHODS",
    "NO_LIMIT",
    "PRECISIONS",
    "PRETRAINED_RATE",
    "REFRESH_AGAIN",
    "REFRESH_MODES",
    "SCRATCH_RATE",
    "SELF_DISTILLATIONS",
    "SELF_DISTILLATION_TEACHERS",
    "TRIPLET_MINERS",
    "CohortSettings",
    "EvaluationSettings",
    "GateSettings",
    "ModelSettings",
    "ObjectiveWeights",
    "RefreshBudget",
    "SelfDistillationSettings",
    "Settings",
    "StreamSettings",
    "TrainingSettings",
]
