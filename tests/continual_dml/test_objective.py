"""The objective is the readable sum of docs/methods.md, term by term."""

import pytest
import torch
from torch.nn.functional import normalize

from continual_dml.errors import UnknownChoice
from continual_dml.settings import (
    METHODS,
    CohortSettings,
    ObjectiveWeights,
    SelfDistillationSettings,
    TrainingSettings,
)
from continual_dml.strategies.objective import Batch, objective
from continual_dml.strategies.recipes import Recipe, recipe_for

LABELS = torch.tensor([0, 0, 1, 1])
SETTINGS = TrainingSettings()


def unit(seed: int) -> torch.Tensor:
    return normalize(torch.randn(4, 3, generator=torch.Generator().manual_seed(seed)), dim=1)


def metric(embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return embeddings.sum() * 0 + labels.sum()


def slow_relations(a: torch.Tensor, b: torch.Tensor, temperature: float) -> float:
    total = 0.0
    for row_a, row_b in zip(a @ a.T / temperature, b @ b.T / temperature, strict=True):
        p, q = torch.softmax(row_a, 0), torch.softmax(row_b, 0)
        total += sum(float(x * torch.log(x / y)) for x, y in zip(p, q, strict=True))
    return temperature**2 * total / len(a)


def test_every_term_has_the_value_that_its_formula_gives() -> None:
    model, specialist, old, earlier, earliest = (unit(seed) for seed in range(5))
    recipe = Recipe(old_relations=10, mutual=5, virtual=2, anchor=0.5)
    batch = Batch(LABELS, model, specialist, old, (earlier, earliest))
    terms = {name: float(v) for name, v in objective(batch, recipe, SETTINGS, metric, metric).items()}
    assert terms["metric"] == terms["specialist"] == 2.0
    assert terms["old_relations"] == pytest.approx(10 * slow_relations(model, old, 4.0), rel=1e-4)
    mutual = slow_relations(specialist, model, 4.0) + slow_relations(model, specialist, 4.0)
    assert terms["mutual"] == pytest.approx(5 * mutual, rel=1e-4)
    virtual = (slow_relations(model, earlier, 4.0) + slow_relations(model, earliest, 4.0)) / 2
    assert terms["virtual"] == pytest.approx(2 * virtual, rel=1e-4)
    assert terms["anchor"] == pytest.approx(0.5 * float(1 - (model * old).sum(1).mean()), rel=1e-4)


def test_a_weight_of_zero_removes_its_term() -> None:
    batch = Batch(LABELS, unit(0), None, unit(1), (unit(2),))
    assert set(objective(batch, Recipe(), SETTINGS, metric)) == {"metric"}
    assert set(objective(batch, Recipe(anchor=1.0), SETTINGS, metric)) == {"metric", "anchor"}


def test_model_and_specialist_learn_from_each_other_and_teachers_are_fixed() -> None:
    model, specialist = (unit(seed).requires_grad_() for seed in (0, 1))
    old = unit(2)
    recipe = Recipe(old_relations=1, mutual=1)
    terms = objective(Batch(LABELS, model, specialist, old), recipe, SETTINGS, metric, metric)
    terms["mutual"].backward()
    assert model.grad is not None
    assert model.grad.abs().sum() > 0
    assert specialist.grad is not None
    assert specialist.grad.abs().sum() > 0


def test_every_method_has_a_recipe_and_an_unknown_one_is_refused() -> None:
    for method in METHODS:
        assert isinstance(recipe_for(TrainingSettings(method=method)), Recipe)
    assert recipe_for(TrainingSettings(method="finetune")) == Recipe()
    assert not recipe_for(TrainingSettings(method="frozen")).learns
    with pytest.raises(UnknownChoice, match="did you mean finetune"):
        TrainingSettings(method="finetun")


def test_without_mutual_weight_no_specialist_is_trained() -> None:
    assert not recipe_for(TrainingSettings(objective=ObjectiveWeights(mutual=0.0))).specialist


def slow_huber_of_distances(a: torch.Tensor, b: torch.Tensor) -> float:
    total, pairs = 0.0, [(i, j) for i in range(len(a)) for j in range(len(a)) if i != j]
    for i, j in pairs:
        gap = abs(float((a[i] - a[j]).norm() - (b[i] - b[j]).norm()))
        total += gap**2 / 2 if gap <= 1 else gap - 0.5
    return total / len(pairs)


def test_the_cohorts_term_is_the_ramped_sum_over_peers() -> None:
    model, one, other = (unit(seed) for seed in range(3))
    settings = TrainingSettings(cohort=CohortSettings(transfer=8.0))
    batch = Batch(LABELS, model, peers=(one, other), cohort_ramp=0.25)
    terms = objective(batch, Recipe(), settings, metric)
    expected = slow_huber_of_distances(model, one) + slow_huber_of_distances(model, other)
    assert set(terms) == {"metric", "cohort"}
    assert float(terms["cohort"]) == pytest.approx(0.25 * 8.0 * expected, rel=1e-4)
    without = TrainingSettings(cohort=CohortSettings(transfer=0.0))
    assert set(objective(batch, Recipe(), without, metric)) == {"metric"}


def test_the_cohorts_knobs_reach_its_term() -> None:
    batch = Batch(LABELS, unit(0), peers=(unit(1),))
    knobs = ({}, {"relation": "cosine"}, {"penalty": "l1"}, {"penalty": "l2"}, {"mean_normalised": True})
    values = {
        float(objective(batch, Recipe(), TrainingSettings(cohort=CohortSettings(**k)), metric)["cohort"])
        for k in knobs
    }
    assert len(values) == len(knobs)


def test_the_earlier_selfs_term_is_the_ramped_divergence_with_the_target_first() -> None:
    model, target = unit(0), torch.softmax(3 * unit(1) @ unit(1).T, dim=1)
    settings = TrainingSettings(
        self_distillation=SelfDistillationSettings(kind="psd", weight=40.0, temperature=0.5)
    )
    batch = Batch(LABELS, model, earlier_relations=target, self_ramp=0.75)
    terms = objective(batch, Recipe(), settings, metric)
    divergence = 0.0
    for goal, row in zip(target, model @ model.T / 0.5, strict=True):
        own = torch.softmax(row, 0)
        divergence += sum(float(q * torch.log(q / p)) for q, p in zip(goal, own, strict=True)) / len(model)
    assert set(terms) == {"metric", "self_distillation"}
    assert float(terms["self_distillation"]) == pytest.approx(0.75 * 40.0 * 0.5**2 * divergence, rel=1e-4)


def test_peers_and_earlier_selves_get_no_gradient() -> None:
    model, peer, earlier = (unit(seed).requires_grad_() for seed in range(3))
    relations = torch.softmax(earlier @ earlier.T, dim=1)
    batch = Batch(LABELS, model, peers=(peer,), earlier_relations=relations)
    terms = objective(batch, Recipe(), SETTINGS, metric)
    (terms["cohort"] + terms["self_distillation"]).backward()
    assert model.grad is not None
    assert model.grad.abs().sum() > 0
    assert peer.grad is None
    assert earlier.grad is None


def test_soft_labels_need_classes_that_were_learned_before() -> None:
    batch = Batch(LABELS, unit(0), old=unit(1))
    recipe = Recipe(soft_labels=1.0, discrepancy=1.0)
    assert set(objective(batch, recipe, SETTINGS, metric)) == {"metric", "discrepancy"}
    learned = Batch(LABELS, unit(0), old=unit(1), old_class_means=unit(2))
    assert set(objective(learned, recipe, SETTINGS, metric)) == {"metric", "soft_labels", "discrepancy"}
