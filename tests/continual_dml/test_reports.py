"""Reports are plain data: the parent's matrices with one more row."""

from continual_dml.records import Measurement, PartCount, TaskSummary, VectorState
from continual_dml.reports import Measured, build_report, without_last_row

Report = dict[str, object]


def summary(task_id: int) -> TaskSummary:
    return TaskSummary(task_id, f"task {task_id}", "/somewhere", "finetune", task_id, 2, 10, 4)


def recall(task_id: int, value: float, scope: str = "merged", k: int = 1) -> Measurement:
    return Measurement("recall", k, scope, task_id, value, queries=4, without_positive=0)


def report(
    task_ids: list[int], measurements: list[Measurement], parent: dict[str, object] | None = None
) -> dict[str, object]:
    return build_report(
        generation=task_ids[-1],
        parent=parent,
        tasks=[summary(task_id) for task_id in task_ids],
        measured=Measured(measurements, [PartCount(1, VectorState.FRESH, 10)]),
        recall_at=(1,),
        seconds={"total": 1.23456},
        loss_terms={"metric": 0.5},
        method="finetune",
    )


def test_average_forgetting_and_backward_transfer_follow_their_definitions() -> None:
    first = report([1], [recall(1, 0.9), recall(1, 1.0, "within")])
    second = report([1, 2], [recall(1, 0.6), recall(2, 0.8), recall(1, 1.0, "within")], first)
    assert second["recall_at_k"] == {"1": [[0.9], [0.6, 0.8]]}
    assert second["summary"]["1"]["average"] == 0.7
    assert abs(second["summary"]["1"]["forgetting"] - 0.3) < 1e-12
    assert abs(second["summary"]["1"]["backward_transfer"] + 0.3) < 1e-12
    assert second["within_task"]["recall_at_k"] == {"1": [[1.0], [1.0, None]]}
    assert second["seconds"] == {"total": 1.235}


def test_a_single_task_has_nothing_to_forget() -> None:
    assert report([1], [recall(1, 0.9)])["summary"]["1"] == {
        "average": 0.9,
        "forgetting": None,
        "backward_transfer": None,
    }


def test_a_task_without_queries_is_an_unknown_and_not_a_zero() -> None:
    first = report([1], [recall(1, 0.9)])
    second = report([1, 2], [recall(1, 0.8)], first)
    assert second["recall_at_k"] == {"1": [[0.9], [0.8, None]]}
    assert second["summary"]["1"]["average"] == 0.8


def test_queries_with_nothing_to_find_are_counted_apart() -> None:
    measured = Measurement("queries", 0, "merged", 1, 3.0, queries=3, without_positive=2)
    assert report([1], [measured])["queries"] == {"1": {"measured": 3, "without_positive": 2}}


def test_a_k_that_was_not_measured_before_starts_with_unknowns() -> None:
    first = report([1], [recall(1, 0.9)])
    first["recall_at_k"] = {}
    second = report([1, 2], [recall(1, 0.8), recall(2, 0.7)], first)
    assert second["recall_at_k"] == {"1": [[None], [0.8, 0.7]]}


def test_a_row_that_is_measured_again_takes_the_place_of_the_one_before() -> None:
    first = report([1], [recall(1, 0.9)])
    second = report([1, 2], [recall(1, 0.6), recall(2, 0.8)], first)
    again = report([1, 2], [recall(1, 0.7), recall(2, 0.8)], without_last_row(second))
    assert again["recall_at_k"] == {"1": [[0.9], [0.7, 0.8]]}


def test_what_a_refresh_was_worth_is_carried_along_row_by_row() -> None:
    def compared(
        generation: int, parent: dict[str, object] | None, found: dict[str, object] | None
    ) -> object:
        measured = Measured([], [PartCount(1, VectorState.FRESH, 1)], compatibility=found)
        return build_report(
            generation=generation, parent=parent, tasks=[summary(1)], measured=measured, recall_at=(),
            seconds={}, loss_terms={}, method="finetune",
        )["compatibility"]  # fmt: skip

    row = {"tasks": [1], "stale": [0.1], "projected": [0.2], "reembedded": [0.3]}
    first = compared(2, None, {**row, "kept_images": 9})
    empty: dict[str, object] = {"recall_at_k": {}, "r_precision": [], "map_at_r": []}
    parent = {**empty, "within_task": empty, "compatibility": first}
    second = compared(3, parent, {**row, "kept_images": 8})
    assert isinstance(second, dict)
    assert [one["generation"] for one in second["rows"]] == [2, 3]
    assert second["kept_images"] == 8
    assert compared(4, parent, None) == first, "a generation that measured none keeps what is known"
