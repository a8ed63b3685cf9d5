"""What holds a network to an earlier one, or to its peers: terms to be added to a loss."""

from continual_dml.distillation.batch_diffusion import diffused_target
from continual_dml.distillation.cohort_relations import relational_transfer
from continual_dml.distillation.discrepancy import feature_discrepancy
from continual_dml.distillation.pointwise import anchor_loss
from continual_dml.distillation.relational import relation_loss
from continual_dml.distillation.self_distillation import psd_target, self_distillation_loss
from continual_dml.distillation.soft_labels import soft_label_loss

__all__ = [
    "anchor_loss",
    "diffused_target",
    "feature_discrepancy",
    "psd_target",
    "relation_loss",
    "relational_transfer",
    "self_distillation_loss",
    "soft_label_loss",
]
