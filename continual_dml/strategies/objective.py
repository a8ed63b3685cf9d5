"""The whole method as one readable sum."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from continual_dml.distillation.pointwise import anchor_loss
from continual_dml.distillation.relational import relation_loss
from continual_dml.ports import PairLoss
from continual_dml.strategies.recipes import Recipe


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """One batch as the networks see it; all embeddings (B, D) have unit length.

    ``model`` is the deployed network f; ``specialist`` is f_new, which knows only this task and is discarded
    after it; ``old`` are f_old's embeddings of the same images and ``virtual`` those of the generations
    before it, one (B, D) each. Old and virtual ones were computed before training, without gradient.
    """

    labels: torch.Tensor
    model: torch.Tensor
    specialist: torch.Tensor | None = None
    old: torch.Tensor | None = None
    virtual: tuple[torch.Tensor, ...] = ()


def objective(
    batch: Batch, recipe: Recipe, loss: PairLoss, specialist_loss: PairLoss | None, temperature: float
) -> dict[str, torch.Tensor]:
    """Return the weighted terms of the objective by name; their sum is minimised.

    ::

        L = L_m(f) + L_m(f_new) + l_old C(f, f_old) + l_mut [C(f_new, f) + C(f, f_new)]
              + l_virt/K sum_k C(f, fhat_k) + l_anchor mean(1 - cos(f, f_old))

    C compares rows of similarity matrices (:func:`relation_loss`). Nothing is detached in the mutual term:
    the specialist learns from the model as the model learns from it.

    Source: Online Deep Metric Learning via Mutual Distillation (arXiv 2203.05201); docs/methods.md.
    """

    def relations(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        return relation_loss(first, second, temperature)

    terms = {"metric": loss(batch.model, batch.labels)}
    if batch.specialist is not None and specialist_loss is not None:
        terms["specialist"] = specialist_loss(batch.specialist, batch.labels)
        mutual = relations(batch.specialist, batch.model) + relations(batch.model, batch.specialist)
        terms["mutual"] = recipe.mutual * mutual
    if batch.old is not None and recipe.old_relations:
        terms["old_relations"] = recipe.old_relations * relations(batch.model, batch.old)
    if batch.old is not None and recipe.anchor:
        terms["anchor"] = recipe.anchor * anchor_loss(batch.model, batch.old)
    if batch.virtual and recipe.virtual:
        virtual = torch.stack([relations(batch.model, earlier) for earlier in batch.virtual]).mean()
        terms["virtual"] = recipe.virtual * virtual
    return terms
