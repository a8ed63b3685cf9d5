import pytest
import torch

from continual_dml.errors import TrainingError
from continual_dml.similarity import (
    cosine_similarity,
    drop_self,
    hide_own_column,
    log_one_plus_sum_exp,
    log_sum_exp,
    masked_mean,
    pair_masks,
    same_label_mask,
)


def circle(*degrees):
    angles = torch.deg2rad(torch.tensor(degrees, dtype=torch.float32))
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def test_cosines_are_those_of_the_angles_between_points():
    found = cosine_similarity(circle(0, 60), circle(0, 90, 180))
    assert torch.allclose(found, torch.tensor([[1.0, 0.0, -1.0], [0.5, 3**0.5 / 2, -0.5]]), atol=1e-6)


def test_a_set_is_compared_with_itself_by_default():
    points = circle(0, 25, 130)
    assert torch.equal(cosine_similarity(points), cosine_similarity(points, points))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_points_are_compared_in_single_precision(dtype):
    points = circle(10, 200, 330).to(dtype)
    assert torch.equal(cosine_similarity(points), points.float() @ points.float().T)


def test_an_autocast_region_does_not_lower_the_precision():
    points = circle(10, 200, 330)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = cosine_similarity(points)
    assert torch.equal(inside, cosine_similarity(points))


def test_double_precision_is_kept():
    assert cosine_similarity(circle(0, 1).double()).dtype == torch.float64


def test_labels_are_compared_with_another_set():
    found = same_label_mask(torch.tensor([1, 2]), torch.tensor([2, 2, 1]))
    assert found.tolist() == [[False, False, True], [True, True, False]]


def test_a_column_of_labels_is_refused_with_its_shape():
    with pytest.raises(TrainingError, match=r"\(3, 1\)"):
        same_label_mask(torch.zeros(3, 1))


def test_only_the_diagonal_is_dropped():
    assert drop_self(torch.ones(3, 3, dtype=torch.bool)).sum(dim=0).tolist() == [2, 2, 2]


def test_every_pair_of_two_items_is_positive_or_negative_and_never_both():
    positive, negative = pair_masks(torch.tensor([0, 1, 0, 2]))
    assert positive.nonzero().tolist() == [[0, 2], [2, 0]]
    assert torch.equal(positive ^ negative, ~torch.eye(4, dtype=torch.bool))


def test_no_query_finds_its_own_row():
    similarities = torch.ones(2, 3)
    hide_own_column(similarities, torch.tensor([2, 0]))
    assert similarities.isinf().tolist() == [[False, False, True], [True, False, False]]


def test_the_mean_over_nothing_is_zero_with_a_gradient():
    values = torch.ones(2, 2, requires_grad=True)
    mean = masked_mean(values, torch.zeros(2, 2, dtype=torch.bool))
    mean.backward()
    assert mean.item() == 0
    assert values.grad is not None
    assert values.grad.abs().sum() == 0


def test_the_mean_is_over_the_kept_values_alone():
    mask = torch.tensor([[True, False], [False, True]])
    assert masked_mean(torch.tensor([[1.0, 50.0], [70.0, 4.0]]), mask).item() == 2.5


def test_log_one_plus_sum_exp_does_not_overflow():
    found = log_one_plus_sum_exp(torch.tensor([[1000.0, 1000.0]]), torch.ones(1, 2, dtype=torch.bool), dim=1)
    assert found.item() == pytest.approx(1000.6931, abs=1e-3)


def test_log_one_plus_sum_exp_over_nothing_is_zero_with_a_gradient():
    exponents = torch.ones(2, 3, requires_grad=True)
    found = log_one_plus_sum_exp(exponents, torch.zeros(2, 3, dtype=torch.bool), dim=0)
    found.sum().backward()
    assert found.tolist() == [0, 0, 0]
    assert exponents.grad is not None
    assert exponents.grad.abs().sum() == 0


def test_log_sum_exp_over_nothing_is_the_lowest_number_without_a_gradient():
    exponents = torch.ones(2, 3, requires_grad=True)
    found = log_sum_exp(exponents, torch.tensor([[False] * 3, [True, True, False]]), dim=1)
    found.sum().backward()
    assert found[0].item() == torch.finfo(torch.float32).min
    assert found[1].item() == pytest.approx(1.6931, abs=1e-4)  # 1 + log 2
    assert exponents.grad.tolist() == [[0, 0, 0], [0.5, 0.5, 0]]
