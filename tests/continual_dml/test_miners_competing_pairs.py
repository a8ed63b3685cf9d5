import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from continual_dml.miners.competing_pairs import competing_pairs


def slow(similarities, labels, margin):
    positives, negatives = set(), set()
    for a, row in enumerate(similarities):
        own = {j: s for j, s in enumerate(row) if labels[j] == labels[a] and j != a}
        other = {j: s for j, s in enumerate(row) if labels[j] != labels[a]}
        if own and other:
            positives |= {(a, j) for j, s in own.items() if s < max(other.values()) + margin}
            negatives |= {(a, j) for j, s in other.items() if s > min(own.values()) - margin}
    return positives, negatives


def chosen(mask):
    return {tuple(pair) for pair in mask.nonzero().tolist()}


@settings(deadline=None, max_examples=60)
@given(
    labels=st.lists(st.integers(0, 3), min_size=1, max_size=10),
    seed=st.integers(0, 10_000),
    margin=st.sampled_from([0.0, 0.1, 0.5]),
)
def test_the_pairs_are_those_of_the_slow_search(labels, seed, margin):
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(len(labels), 3, generator=generator, dtype=torch.float64)
    similarities = (
        torch.nn.functional.normalize(points, dim=1) @ torch.nn.functional.normalize(points, dim=1).T
    )
    found = competing_pairs(similarities, torch.tensor(labels), margin)
    assert (chosen(found.positive), chosen(found.negative)) == slow(similarities.tolist(), labels, margin)


def test_a_similarity_that_is_not_a_number_is_kept():
    similarities = torch.tensor([[1.0, 0.9, torch.nan], [0.9, 1.0, 0.1], [torch.nan, 0.1, 1.0]])
    assert competing_pairs(similarities, torch.tensor([0, 0, 1]), 0.1).negative[0, 2]
