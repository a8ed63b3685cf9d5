"""The harness that times ways to do the same thing side by side."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import benchmarks.side_by_side.__main__ as command
from benchmarks.side_by_side.answers import close_together, equal, same_lists
from benchmarks.side_by_side.intervals import median_with_interval
from benchmarks.side_by_side.preparing import Preparation
from benchmarks.side_by_side.rounds import measure
from benchmarks.side_by_side.rows import AGAIN, OURS, Arm, Row, Sizes, Target, Work
from benchmarks.side_by_side.summary import summary
from benchmarks.side_by_side.tables import table
from benchmarks.side_by_side.verdicts import is_void, noise, verdicts


def add_up(folder: Path, sizes: Sizes) -> Work:
    """An arm: sums numbers that the row has put into a file."""
    numbers = json.loads((folder / "numbers.json").read_text())
    print("a library that prints must not disturb the answers")
    return Work(
        lambda: {"sum": sum(numbers) + sizes.get("off", 0)}, figures=lambda: {"numbers": len(numbers)}
    )


def telling(folder: Path, sizes: Sizes) -> Work:
    """An arm that tells its own profile."""
    return replace(add_up(folder, sizes), profile=lambda: "all of it went into adding\n")


def prepared(folder: Path, sizes: Sizes) -> None:
    (folder / "numbers.json").write_text(json.dumps([1] * sizes["count"]))


def row(*, off: int = 0, targets: tuple[Target, ...] = ()) -> Row:
    factory = "tests.benchmarks.test_side_by_side:add_up"
    arms = (Arm(OURS, factory, threads=1), Arm("theirs", factory, threads=1, options={"off": off}))
    sizes, quick = {"count": 50}, {"count": 3}
    return Row("sums", "adding up", arms, targets, equal, prepared, "sums", sizes, quick, 4, shortest=0.001)


def result(ours: list[float], theirs: list[float], again: list[float]) -> dict[str, object]:
    names = zip((OURS, "theirs", AGAIN), (ours, theirs, again), strict=True)
    figures = {name: {"seconds": list(found), "processor": list(found)} for name, found in names}
    machine = {"processor": "a machine"}
    return {
        "row": "sums",
        "quick": False,
        "sizes": {},
        "rounds": len(ours),
        "figures": figures,
        "environment": machine,
    }


def test_every_arm_runs_in_every_round_and_tells_what_a_unit_took(tmp_path: Path) -> None:
    one = row()
    found = measure(one, Preparation(tmp_path).folder(one, quick=False), quick=False)
    assert found["rounds"] == 4 and found["sizes"] == {"count": 50}
    assert set(found["figures"]) == {OURS, "theirs", AGAIN}
    for figures in found["figures"].values():
        assert all(len(values) == 4 for values in figures.values())
        assert all(value > 0 for value in figures["seconds"]) and figures["numbers"] == [50.0] * 4


@pytest.mark.parametrize("long", [False, True])
def test_a_quick_measurement_has_one_round_and_ours_once(tmp_path: Path, long: bool) -> None:
    one = replace(row(), long=long)
    found = measure(one, Preparation(tmp_path).folder(one, quick=True), quick=True)
    assert found["rounds"] == 1 and found["sizes"] == {"count": 3}
    assert set(found["figures"]) == {OURS, "theirs"}
    assert len(found["figures"][OURS]["seconds"]) == 1


def test_in_a_long_row_what_was_computed_is_compared_after_the_first_round(tmp_path: Path) -> None:
    one = replace(row(off=1), long=True)
    with pytest.raises(SystemExit, match="computed different things"):
        measure(one, Preparation(tmp_path).folder(one, quick=True), quick=True)


def test_a_long_row_can_be_measured_one_round_at_a_time(tmp_path: Path) -> None:
    one = replace(row(), long=True, rounds=1)
    folder = Preparation(tmp_path).folder(one, quick=False)
    first = measure(one, folder, quick=False)
    second = measure(one, folder, quick=False, before=first)
    assert (first["rounds"], second["rounds"]) == (1, 2)
    for arm, figures in second["figures"].items():
        assert figures["seconds"][:1] == first["figures"][arm]["seconds"]
        assert len(figures["seconds"]) == len(figures["numbers"]) == 2


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        pytest.param(["triplet_loss"], "triplet_loss: its rounds are short", id="a row of short rounds"),
        pytest.param(
            ["end_to_end"], "end_to_end: nothing is recorded yet", id="a row that was never measured"
        ),
    ],
)
def test_no_round_is_added_to_what_cannot_have_one(
    asked: list[str], said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(command, "RESULTS", tmp_path)
    with pytest.raises(SystemExit, match=said):
        command.main([*asked, "--more"])


def test_no_round_is_added_to_one_of_another_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(command, "RESULTS", tmp_path)
    (long,) = (one for one in command.all_rows() if one.name == "end_to_end")
    before = {"sizes": long.sized(quick=False), "environment": {"processor": "another"}}
    (tmp_path / "end_to_end.json").write_text(json.dumps(before))
    with pytest.raises(SystemExit, match="another machine; measure it without --more"):
        command.main(["end_to_end", "--more"])


def test_an_arm_that_knows_where_its_time_went_tells_it_instead_of_a_profiler(tmp_path: Path) -> None:
    telling = replace(row(), arms=(Arm(OURS, "tests.benchmarks.test_side_by_side:telling"),))
    measure(
        telling, Preparation(tmp_path).folder(telling, quick=True), quick=True, profile_into=tmp_path / "p"
    )
    assert (tmp_path / "p").read_text() == "all of it went into adding\n"


def test_neighbouring_rows_that_read_the_same_share_it(tmp_path: Path) -> None:
    preparation = Preparation(tmp_path)
    folder = preparation.folder(row(), quick=True)
    (folder / "mark").touch()
    assert (preparation.folder(replace(row(), name="other"), quick=True) / "mark").exists()
    assert not (preparation.folder(row(), quick=False) / "mark").exists()


def test_nothing_is_timed_where_two_arms_computed_different_things(tmp_path: Path) -> None:
    one = row(off=1)
    with pytest.raises(SystemExit, match="ours and 'theirs' computed different things: sum differs by 1"):
        measure(one, Preparation(tmp_path).folder(one, quick=True), quick=True)


def test_an_arm_that_dies_ends_the_measurement(tmp_path: Path) -> None:
    broken = Row("broken", "", (Arm(OURS, "tests.benchmarks.test_side_by_side:no_such_arm"),), (), equal)
    with pytest.raises(SystemExit, match="arm 'ours' ended with 1"):
        measure(broken, tmp_path, quick=True)


def test_the_interval_of_a_median_lies_within_the_rounds_and_around_it() -> None:
    values = [1.0, 2.0, 2.1, 2.2, 9.0]
    found = median_with_interval(values)
    assert found.median == 2.1 and 1.0 <= found.low <= found.median <= found.high <= 9.0


def test_an_aim_is_met_by_the_end_of_the_interval_and_not_by_the_median() -> None:
    measured = result([1.0] * 5, [1.9, 2.1, 2.1, 2.1, 1.9], [1.0] * 5)
    judged = verdicts(
        row(targets=(Target(against="theirs", at_least=2.0), Target(against="theirs", at_least=1.9))),
        measured,
    )
    assert judged[0].found.median == 2.1
    assert [verdict.met for verdict in judged] == [False, True]


def test_an_inverse_aim_is_ours_over_theirs() -> None:
    target = Target(against="theirs", at_most=1.05, inverse=True)
    (verdict,) = verdicts(row(targets=(target,)), result([1.04] * 3, [1.0] * 3, [1.04] * 3))
    assert verdict.found.median == pytest.approx(1.04) and verdict.met


@pytest.mark.parametrize(
    ("again", "aim", "void"),
    [
        pytest.param(1.01, 2.95, False, id="hardly"),
        pytest.param(1.2, 2.0, False, id="but both times meet the aim"),
        pytest.param(1.2, 4.0, False, id="but both times miss the aim"),
        pytest.param(1.2, 2.8, True, id="and only one time meets the aim"),
        pytest.param(1.5, 1.0, True, id="wildly"),
    ],
)
def test_a_run_is_void_where_ours_differs_from_ours(again: float, aim: float, void: bool) -> None:
    measured = result([1.0] * 3, [3.0] * 3, [again] * 3)
    assert is_void(row(targets=(Target(against="theirs", at_least=aim),)), measured) is void
    found = noise(measured)
    assert found is not None and found.median == pytest.approx(again)


def test_the_table_says_what_is_met_missed_and_void() -> None:
    target = Target(against="theirs", at_least=2.0)
    rows = [row(targets=(target,))]
    met = table(rows, {"sums": result([1.0] * 3, [3.0] * 3, [1.0] * 3)})
    assert "| adding up | 1 sums/s | theirs | 0.333 sums/s | 3 (3 to 3) | 3 | >= 2x | met |" in met
    missed = table(rows, {"sums": result([1.0] * 3, [1.5] * 3, [1.0] * 3)})
    assert "| **missed** |" in missed and "**adding up** misses >= 2x against theirs with 1.5." in missed
    assert "| void |" in table(rows, {"sums": result([1.0] * 3, [3.0] * 3, [2.0] * 3)})


def test_in_short_a_row_is_one_line_against_the_fastest_of_its_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.side_by_side.summary.SHOWN", ("sums", "unmeasured"))
    targets = (Target(against="slower"), Target("processor", against="theirs"), Target(against="theirs"))
    measured = result([1.0] * 3, [3.0] * 3, [1.0] * 3)
    measured["figures"]["slower"] = {"seconds": [9.0] * 3, "processor": [9.0] * 3}
    found = summary([row(targets=targets)], {"sums": measured})
    assert found.splitlines()[2:] == ["| adding up | 1 sums/s | 0.333 sums/s | theirs | 3 (3 to 3) |"]


def test_answers_differ_by_shape_by_name_and_by_value() -> None:
    assert close_together(1e-3)({"a": np.ones(2)}, {"a": np.ones(2) + 1e-4}) is None
    assert "shapes" in str(equal({"a": np.ones(2)}, {"a": np.ones(3)}))
    assert "computed" in str(equal({"a": np.ones(2)}, {"b": np.ones(2)}))
    assert "differs by nan" in str(equal({"a": np.ones(2)}, {"a": np.array([1.0, np.nan])}))


def test_lists_of_neighbours_agree_whatever_the_order_of_equal_ones() -> None:
    first, second = {"found": np.array([[1, 2], [3, 4]])}, {"found": np.array([[2, 1], [3, 9]])}
    assert same_lists(0.75)(first, second) is None
    assert same_lists(0.8)(first, second) == "only 0.7500 of what was found agrees"
