import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from continual_dml.errors import UnknownChoice
from continual_dml.miners import MINERS, make_miner
from continual_dml.miners.all_triplets import all_triplets
from continual_dml.miners.batch_hard import batch_hard
from continual_dml.miners.semi_hard import semi_hard
from continual_dml.settings import TRIPLET_MINERS
from continual_dml.similarity import cosine_similarity


def circle(*degrees):
    angles = torch.deg2rad(torch.tensor(degrees, dtype=torch.float32))
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def mined(miner, degrees, labels):
    triplets = miner(cosine_similarity(circle(*degrees)), torch.tensor(labels))
    return list(zip(*(part.tolist() for part in triplets), strict=True))


def slow_batch_hard(similarities, labels):
    found = []
    for a in range(len(labels)):
        positives = [p for p in range(len(labels)) if labels[p] == labels[a] and p != a]
        negatives = [n for n in range(len(labels)) if labels[n] != labels[a]]
        if positives and negatives:
            hardest_positive = min(positives, key=lambda p: similarities[a][p])
            found.append((a, hardest_positive, max(negatives, key=lambda n: similarities[a][n])))
    return found


def slow_semi_hard(similarities, labels):
    found = []
    for a in range(len(labels)):
        negatives = [n for n in range(len(labels)) if labels[n] != labels[a]]
        for p in range(len(labels)):
            if labels[p] != labels[a] or p == a or not negatives:
                continue
            farther = [n for n in negatives if similarities[a][n] < similarities[a][p]]
            if farther:
                chosen = max(farther, key=lambda n: similarities[a][n])
            else:
                chosen = min(negatives, key=lambda n: similarities[a][n])
            found.append((a, p, chosen))
    return found


def slow_all(similarities, labels):
    items = range(len(labels))
    return [
        (a, p, n)
        for a in items
        for p in items
        for n in items
        if labels[a] == labels[p] and a != p and labels[a] != labels[n]
    ]


SLOW = {"batch-hard": slow_batch_hard, "semi-hard": slow_semi_hard, "all": slow_all}
batches = st.integers(2, 10).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(0, 359), min_size=n, max_size=n, unique=True),
        st.lists(st.integers(0, 3), min_size=n, max_size=n),
    )
)


def test_the_names_are_those_of_the_settings():
    assert set(MINERS) == set(TRIPLET_MINERS) == {*SLOW, "distance-weighted"}


def test_an_unknown_miner_is_answered_with_the_closest_name():
    with pytest.raises(UnknownChoice, match="batch-hard"):
        make_miner("batch-hart", 2)


def test_batch_hard_takes_the_farthest_positive_and_the_nearest_negative():
    assert mined(batch_hard, (0, 20, 50, 80, 300), (0, 0, 0, 1, 1))[0] == (0, 2, 4)


def test_semi_hard_takes_the_nearest_negative_beyond_the_positive():
    # From 0 degrees: positive at 30; negatives at 10 (too hard), 40 (semi-hard) and 90 (easy).
    assert (0, 1, 3) in mined(semi_hard, (0, 30, 10, 40, 90), (0, 0, 1, 1, 1))


def test_semi_hard_takes_the_easiest_negative_when_all_are_nearer_than_the_positive():
    assert (0, 1, 3) in mined(semi_hard, (0, 90, 10, 40), (0, 0, 1, 1))


def test_all_triplets_of_a_large_batch_are_counted_in_closed_form():
    labels = torch.arange(64).repeat_interleave(4)
    triplets = all_triplets(torch.eye(256), labels)
    assert len(triplets.anchor) == 256 * 3 * 252
    assert torch.equal(labels[triplets.anchor], labels[triplets.positive])
    assert not (labels[triplets.anchor] == labels[triplets.negative]).any()


@pytest.mark.parametrize("name", TRIPLET_MINERS)
@pytest.mark.parametrize("labels", [(0, 0, 0), (0, 1, 2)])
def test_a_batch_of_one_class_or_of_single_images_has_no_triplet(name, labels):
    triplets = make_miner(name, 2)(cosine_similarity(circle(0, 30, 200)), torch.tensor(labels))
    assert [part.tolist() for part in triplets] == [[], [], []]
    assert all(part.dtype == torch.int64 for part in triplets)


@pytest.mark.parametrize("name", SLOW)
@settings(deadline=None, max_examples=60)
@given(batch=batches)
def test_the_triplets_are_those_of_the_slow_search(name, batch):
    degrees, labels = batch
    similarities = cosine_similarity(circle(*degrees))
    fast = list(
        zip(*(part.tolist() for part in make_miner(name, 2)(similarities, torch.tensor(labels))), strict=True)
    )
    assert fast == SLOW[name](similarities.tolist(), labels)


@pytest.mark.parametrize("name", TRIPLET_MINERS)
def test_mining_builds_no_graph(name):
    points = circle(0, 20, 50, 80).requires_grad_()
    triplets = make_miner(name, 2)(cosine_similarity(points), torch.tensor([0, 0, 1, 1]))
    assert set(triplets.anchor.tolist()) == {0, 1, 2, 3}
    assert not any(part.requires_grad for part in triplets)


@pytest.mark.parametrize("name", TRIPLET_MINERS)
def test_a_similarity_that_is_not_a_number_is_chosen_and_not_hidden(name):
    points = circle(0, 20, 50, 80)
    points[3] = math.nan
    similarities = cosine_similarity(points)
    anchor, positive, negative = make_miner(name, 2)(similarities, torch.tensor([0, 0, 1, 1]))
    assert similarities[anchor, negative].sub(similarities[anchor, positive]).isnan().any()
