"""The whole method as one readable sum."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from continual_dml.distillation.cohort_relations import relational_transfer
from continual_dml.distillation.discrepancy import feature_discrepancy
from continual_dml.distillation.pointwise import anchor_loss
from continual_dml.distillation.relational import relation_loss
from continual_dml.distillation.self_distillation import self_distillation_loss
from continual_dml.distillation.soft_labels import soft_label_loss
from continual_dml.ports import PairLoss
from continual_dml.settings import TrainingSettings
from continual_dml.strategies.recipes import Recipe


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """One batch as one member of the cohort sees it; all embeddings (B, D) have unit length.

    ``model`` is the deployed network f; ``specialist`` is f_new, which knows only this task and is discarded
    after it; ``old`` are f_old's embeddings of the same images, ``virtual`` those of the generations before
    it, one (B, D) each, and ``old_class_means`` (C, D) f_old's of the classes learned so far; ``peers`` are
    the other members' embeddings; ``earlier_relations`` (B, B) what f's own earlier self says of the batch,
    rows summing to 1. ``cohort_ramp`` and ``self_ramp`` say how far, 0 to 1, those two are switched on.
    """

    labels: Tensor
    model: Tensor
    specialist: Tensor | None = None
    old: Tensor | None = None
    virtual: tuple[Tensor, ...] = ()
    old_class_means: Tensor | None = None
    peers: tuple[Tensor, ...] = ()
    earlier_relations: Tensor | None = None
    cohort_ramp: float = 1.0
    self_ramp: float = 1.0


def objective(
    batch: Batch,
    recipe: Recipe,
    settings: TrainingSettings,
    loss: PairLoss,
    specialist_loss: PairLoss | None = None,
) -> dict[str, Tensor]:
    """Return the weighted terms of one member's objective by name; their sum is minimised.

    ::

        L = L_m(f) + L_m(f_new) + l_mut [C(f_new, f) + C(f, f_new)]
              + l_old C(f, f_old) + l_virt/K sum_k C(f, fhat_k) + l_anchor mean(1 - cos(f, f_old))
              + l_soft KL(soft labels of f_old, of f) + l_mmd MMD^2(f, f_old)
              + r l_cohort sum_n R(f, peer_n) + r l_self tau^2 KL(Q || softmax(F F'/tau))

    C compares rows of similarity matrices (:func:`relation_loss`). Nothing is detached in the mutual term:
    the specialist learns from the model as the model learns from it. Peers and earlier selves are detached.

    Source: Online Deep Metric Learning via Mutual Distillation (arXiv 2203.05201), Diversified Mutual
    Learning (arXiv 2009.04170), OBD-SD (arXiv 2211.07566); docs/methods.md.
    """
    return dict(
        [
            ("metric", loss(batch.model, batch.labels)),
            *_specialist_terms(batch, recipe, settings, specialist_loss),
            *_old_terms(batch, recipe, settings),
            *_cohort_terms(batch, settings),
            *_self_terms(batch, settings),
        ]
    )


Terms = Iterator[tuple[str, Tensor]]


def _specialist_terms(
    batch: Batch, recipe: Recipe, settings: TrainingSettings, specialist_loss: PairLoss | None
) -> Terms:
    if batch.specialist is None or specialist_loss is None:
        return
    temperature = settings.objective.relation_temperature
    yield "specialist", specialist_loss(batch.specialist, batch.labels)
    both_ways = relation_loss(batch.specialist, batch.model, temperature) + relation_loss(
        batch.model, batch.specialist, temperature
    )
    yield "mutual", recipe.mutual * both_ways


def _old_terms(batch: Batch, recipe: Recipe, settings: TrainingSettings) -> Terms:
    temperature = settings.objective.relation_temperature
    if batch.virtual and recipe.virtual:
        terms = [relation_loss(batch.model, earlier, temperature) for earlier in batch.virtual]
        yield "virtual", recipe.virtual * _total(terms, mean=not recipe.sums_virtual)
    if batch.old is None:
        return
    if recipe.old_relations:
        yield "old_relations", recipe.old_relations * relation_loss(batch.model, batch.old, temperature)
    if recipe.anchor:
        yield "anchor", recipe.anchor * anchor_loss(batch.model, batch.old)
    if recipe.soft_labels and batch.old_class_means is not None:
        soft = soft_label_loss(batch.model, batch.old, batch.old_class_means)
        yield "soft_labels", recipe.soft_labels * soft
    if recipe.discrepancy:
        yield "discrepancy", recipe.discrepancy * feature_discrepancy(batch.model, batch.old)


def _cohort_terms(batch: Batch, settings: TrainingSettings) -> Terms:
    if not batch.peers or not settings.cohort.transfer:
        return
    knobs = settings.cohort
    terms = [
        relational_transfer(
            batch.model,
            peer,
            relation=knobs.relation,
            penalty=knobs.penalty,
            mean_normalised=knobs.mean_normalised,
        )
        for peer in batch.peers
    ]
    yield "cohort", batch.cohort_ramp * knobs.transfer * _total(terms, mean=False)


def _self_terms(batch: Batch, settings: TrainingSettings) -> Terms:
    if batch.earlier_relations is None:
        return
    knobs = settings.self_distillation
    term = self_distillation_loss(batch.model, batch.earlier_relations, knobs.temperature)
    yield "self_distillation", batch.self_ramp * knobs.weight * term


def _total(terms: Sequence[Tensor], *, mean: bool) -> Tensor:
    stacked = torch.stack(list(terms))
    return stacked.mean() if mean else stacked.sum()
