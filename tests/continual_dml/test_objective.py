"""The objective is the readable sum of docs/methods.md, term by term."""

import pytest
import torch
from torch.nn.functional import normalize

from continual_dml.errors import UnknownChoice
from continual_dml.settings import METHODS, ObjectiveWeights, TrainingSettings
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
