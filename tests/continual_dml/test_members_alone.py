"""Each network of a cohort alone: read off the stored features that stand side by side."""

from dataclasses import replace

import numpy as np

from continual_dml.memory.class_statistics import measure_classes
from continual_dml.memory.discriminant_head import DiscriminantHead
from continual_dml.memory.drift import AffineMap
from continual_dml.memory.drift_maps import DriftMaps
from continual_dml.records import GalleryLabels, GalleryPart, VectorState
from continual_dml.settings import ModelSettings, Settings
from continual_dml.strategies.carrying import Carrying
from continual_dml.strategies.state import LearnerState, MemberState
from continual_dml.workflows.evaluate import Labelled
from continual_dml.workflows.members_alone import members_alone
from tests.continual_dml.drift_steps import step_of

AXES = np.eye(2, dtype=np.float32)
COHORT = replace(Settings(), model=ModelSettings(backbone="conv4", pretrained=False, cohort=2))


def member(drift: AffineMap) -> MemberState:
    statistics = measure_classes(AXES, AXES, np.array([0, 1]), task=0)
    head = DiscriminantHead(np.eye(2), np.zeros(2))
    return MemberState({}, head, statistics, DriftMaps({2: step_of(drift)}))


def part(birth: int, state: VectorState, features: np.ndarray) -> GalleryPart:
    ids = np.arange(len(features)) + 10 * birth
    return GalleryPart(birth, state, ids, features.astype(np.float16), features.astype(np.float32))


SWAP = AffineMap(np.array([[0.0, 1.0], [1.0, 0.0]]), np.zeros(2))
STATE = LearnerState(2, (member(AffineMap.identity(2)), member(SWAP)))
LABELS = GalleryLabels(np.array([10, 11, 20, 21]), np.array([0, 1, 2, 3]), np.array([1, 1, 2, 2]))
QUERIES = Labelled(np.zeros((4, 4), np.float32), np.array([0, 1, 2, 3]), np.array([1, 1, 2, 2]))
# Categories 0 and 1 lie on the axes, 2 and 3 opposite of them; member 1's old items were born swapped.
DIRECTIONS = np.concatenate([AXES, -AXES])
QUERY_FEATURES = np.concatenate([DIRECTIONS, DIRECTIONS], axis=1)
OLD = part(1, VectorState.PROJECTED, np.concatenate([AXES, AXES[::-1]], axis=1))
NEW = part(2, VectorState.FRESH, np.concatenate([-AXES, -AXES], axis=1))


def recalls(*parts: GalleryPart, queries: np.ndarray = QUERY_FEATURES) -> list[float]:
    found = members_alone(Carrying(STATE, COHORT), COHORT, parts, LABELS, QUERIES, queries)
    assert found is not None
    assert [(one["member"], one["backbone"]) for one in found] == [(0, "conv4"), (1, "conv4")]
    return [one["average_recall_at_1"] for one in found]


def test_old_items_are_carried_by_each_members_own_map() -> None:
    assert recalls(OLD, NEW) == [1.0, 1.0]


def test_a_member_that_confuses_a_task_loses_that_tasks_share() -> None:
    not_swapped = part(1, VectorState.PROJECTED, np.concatenate([AXES, AXES], axis=1))

    assert recalls(not_swapped, NEW) == [1.0, 0.5]  # member 1 errs on both queries of the first of two tasks


def test_stale_items_belong_to_no_member_any_more() -> None:
    stale = replace(OLD, state=VectorState.STALE)

    assert (
        members_alone(Carrying(STATE, COHORT), COHORT, (stale, NEW), LABELS, QUERIES, QUERY_FEATURES) is None
    )


def test_one_network_has_nothing_to_be_compared_with() -> None:
    alone = replace(STATE, members=STATE.members[:1])

    assert (
        members_alone(Carrying(alone, COHORT), Settings(), (OLD, NEW), LABELS, QUERIES, QUERY_FEATURES)
        is None
    )
