"""The quality gate: whether a generation that is built may go live by itself, and if not, why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

from continual_dml.settings import GateSettings

DEFINITION = (
    "Gate: what publishing would cost and bring. Forgetting: mean, over earlier tasks with at least 8 "
    "queries, of Recall@1 (merged gallery) in the live generation minus Recall@1 now; its limit is "
    "max_forgetting and what two queries of the smallest of these tasks move; images that were added since "
    "the live generation was measured are in the gallery now alone. Recall: Recall@1 of the new task's "
    "queries within the task; where min_recall is not set, its limit is chance (mean over the queries "
    "of the share of the task's gallery that has the query's category) and two standard deviations of "
    "guessing, or a quarter of what chance leaves to 1 where that is less. What cannot be judged is passed. "
    "Where Recall@1 is not reported, the smallest K stands for it."
)
_FEWEST_QUERIES = 8
_SPARED_QUERIES = 2
_FEWEST_MISSES = 6
_SLACK = 1e-9
_ADVICE = {
    "forgetting": (
        "publishing would cost the earlier tasks too much: try a smaller --learning-rate, fewer --steps, or "
        "--refresh reembed where their images are still there; or allow more with --max-forgetting"
    ),
    "chance": (
        "its queries find their category hardly more often than by chance: see whether each folder holds one "
        "kind of thing, then try more --steps or more images; --min-recall 0 asks for nothing"
    ),
    "recall": (
        "the new task is not learned well enough: try more --steps or more images of each category, or ask "
        "for less with --min-recall"
    ),
    "refresh_efficiency": (
        "vectors that were carried forward fall behind: try --refresh reembed where the images are still "
        "there, or ask for less with --min-refresh-efficiency"
    ),
}


@dataclass(frozen=True, slots=True)
class Guessing:
    """What a search that answers at random finds: Recall@K ``chance``, asked with ``queries``."""

    chance: float
    queries: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the gate looks at; None stands for what was not measured.

    ``before``, ``now``: Recall@1 of each earlier task, merged gallery, in the live generation and in the new
    one; ``queries``: how many each of these was asked with; ``recall``: of the new task, within the task;
    ``added``: images that joined the gallery without learning after ``before`` was measured.
    """

    before: Sequence[float | None] = ()
    now: Sequence[float | None] = ()
    queries: Sequence[int] = ()
    recall: float | None = None
    guessing: Guessing | None = None
    refresh_efficiency: float | None = None
    added: int = 0


@dataclass(frozen=True, slots=True)
class GateCheck:
    """One check. ``note``: why it failed and what to try; or why it was not judged, without a value then."""

    name: str
    value: float | None = None
    limit: float | None = None
    passed: bool = True
    note: str | None = None


def failure(check: GateCheck) -> str | None:
    """Return a failed check in words, None where it passed."""
    if check.passed or check.value is None or check.limit is None:
        return None
    side = "above" if check.value > check.limit else "below"
    return f"{check.name.replace('_', ' ')} is {check.value:.3f}, {side} {check.limit:.3f}"


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """All checks of one generation."""

    checks: tuple[GateCheck, ...]

    @property
    def passed(self) -> bool:
        """Whether the generation may go live by itself."""
        return all(check.passed for check in self.checks)

    @property
    def refusal(self) -> str | None:
        """What failed, in one line; None where nothing did.

        >>> GateVerdict((GateCheck("recall", 0.125, 0.5, passed=False),)).refusal
        'recall is 0.125, below 0.500'
        """
        return "; ".join(one for one in map(failure, self.checks) if one) or None

    def document(self) -> dict[str, Any]:
        """Return it as plain values."""
        checks = [asdict(check) for check in self.checks]
        return {"passed": self.passed, "refusal": self.refusal, "checks": checks}


def chance_of_recall(queries: Sequence[int], gallery: Sequence[int], k: int = 1) -> Guessing | None:
    """Return what a search that answers at random finds.

    Args:
        queries: category of each query (Q,).
        gallery: category of each image that is searched (N,).
        k: the K of Recall@K.

    Returns:
        Mean over the queries that have something to find; None where none has.

    >>> chance_of_recall([1, 2, 9], [1, 1, 1, 2])  # 3/4 and 1/4; nothing is of category 9
    Guessing(chance=0.5, queries=2)
    """
    counts, total = Counter(gallery), len(gallery)
    found = [1.0 - _all_missed(counts[one], total, k) for one in queries if counts[one]]
    return Guessing(sum(found) / len(found), len(found)) if found else None


def judge(evidence: Evidence, settings: GateSettings) -> GateVerdict:
    """Compare what was measured with the limits.

    >>> good = Evidence(before=[0.9], now=[0.8], queries=[50], recall=0.7, guessing=Guessing(0.25, 40))
    >>> judge(good, GateSettings()).passed
    True
    >>> noise = Evidence(recall=0.3, guessing=Guessing(0.25, 40))
    >>> judge(noise, GateSettings()).refusal  # 0.25 and two of sqrt(0.25 * 0.75 / 40) = 0.0685
    'recall is 0.300, below 0.387'
    """
    efficiency = evidence.refresh_efficiency
    return GateVerdict(
        (
            _forgetting(evidence, settings.max_forgetting),
            _recall(evidence.recall, evidence.guessing, settings.min_recall),
            _refresh_efficiency(efficiency, settings.min_refresh_efficiency),
        )
    )


def with_gate(
    report: Mapping[str, Any],
    parent: Mapping[str, Any] | None,
    queries: Sequence[int],
    gallery: Sequence[int],
    settings: GateSettings,
) -> dict[str, Any]:
    """Return the report of a new generation with the gate's verdict in it, and what that means.

    Args:
        report: of the new generation; its last task is the new one.
        parent: report of the live generation, None or empty before the first task.
        queries: category of each query of the new task (Q,).
        gallery: category of each gallery image of the new task (N,).
        settings: the limits.
    """
    verdict = judge(_evidence(report, parent, queries, gallery), settings)
    definitions = {**report["definitions"], "gate": DEFINITION}
    return {**report, "gate": verdict.document(), "definitions": definitions}


def with_gate_of_refresh(
    report: Mapping[str, Any], parent: Mapping[str, Any], settings: GateSettings
) -> dict[str, Any]:
    """Return the report of a refreshed gallery with the gate's verdict in it: no task may lose too much.

    Args:
        report: of the new generation, whose tasks are those of ``parent``.
        parent: report of the live generation.
        settings: the limits.
    """
    k = min(report["recall_at_k"], key=int)
    before = parent["recall_at_k"].get(k)
    evidence = Evidence(
        before=before[-1] if before else (),
        now=report["recall_at_k"][k][-1],
        queries=_queries_of(report, report["tasks"]),
        added=_added_since(parent),
    )
    verdict = GateVerdict((_forgetting(evidence, settings.max_forgetting),))
    definitions = {**report["definitions"], "gate": DEFINITION}
    return {**report, "gate": verdict.document(), "definitions": definitions}


def _queries_of(report: Mapping[str, Any], tasks: Sequence[Mapping[str, Any]]) -> list[int]:
    return [report["queries"].get(str(task["id"]), {}).get("measured", 0) for task in tasks]


def _evidence(
    report: Mapping[str, Any],
    parent: Mapping[str, Any] | None,
    queries: Sequence[int],
    gallery: Sequence[int],
) -> Evidence:
    k = min(report["recall_at_k"], key=int)
    earlier = (parent or {}).get("recall_at_k", {}).get(k)
    return Evidence(
        before=earlier[-1] if earlier else (),
        now=report["recall_at_k"][k][-1][:-1],
        queries=_queries_of(report, report["tasks"][:-1]),
        recall=report["within_task"]["recall_at_k"][k][-1][-1],
        guessing=chance_of_recall(queries, gallery, int(k)),
        refresh_efficiency=_refresh_efficiency_of(report),
        added=_added_since(parent or {}),
    )


def _added_since(parent: Mapping[str, Any]) -> int:
    added: int = parent.get("added_since", {}).get("gallery", 0)
    return added


def _refresh_efficiency_of(report: Mapping[str, Any]) -> float | None:
    """Return it where this very generation measured it: reports take earlier comparisons along."""
    compatibility = report.get("compatibility")
    if compatibility is None or compatibility["rows"][-1]["generation"] != report["generation"]:
        return None
    efficiency: float | None = compatibility["refresh_efficiency"]
    return efficiency


def _forgetting(evidence: Evidence, most: float) -> GateCheck:
    name = "forgetting"
    if most >= 1:
        return GateCheck(name, note="switched off")
    compared = [
        (before - now, queries)
        for before, now, queries in zip(evidence.before, evidence.now, evidence.queries, strict=False)
        if before is not None and now is not None and queries >= _FEWEST_QUERIES
    ]
    if not compared:
        return GateCheck(name, note=f"no earlier task was asked with {_FEWEST_QUERIES} queries then and now")
    value = sum(lost for lost, _ in compared) / len(compared)
    limit = most + _SPARED_QUERIES / (len(compared) * min(queries for _, queries in compared))
    if value <= limit + _SLACK:
        return GateCheck(name, value, limit)
    advice = _ADVICE[name]
    if evidence.added:
        advice += f"; {evidence.added} images were added since the live generation was measured and count too"
    return GateCheck(name, value, limit, passed=False, note=advice)


def _recall(value: float | None, guessing: Guessing | None, least: float | None) -> GateCheck:
    name = "recall"
    if least is not None and least <= 0:
        return GateCheck(name, note="switched off")
    if value is None or guessing is None:
        return GateCheck(name, note="no query of the new task has anything to find")
    if least is not None:
        return _at_least(name, value, least, _ADVICE[name])
    chance, queries = guessing.chance, guessing.queries
    if queries * (1 - chance) < _FEWEST_MISSES - _SLACK:
        return GateCheck(name, note=f"chance would miss fewer than {_FEWEST_MISSES} queries: too few to tell")
    deviation = sqrt(chance * (1 - chance) / queries)
    return _at_least(name, value, chance + min(2 * deviation, (1 - chance) / 4), _ADVICE["chance"])


def _refresh_efficiency(value: float | None, least: float | None) -> GateCheck:
    name = "refresh_efficiency"
    if least is None or least <= 0:
        return GateCheck(name, note="not asked for")
    if value is None:
        return GateCheck(name, note="not measured")
    return _at_least(name, value, least, _ADVICE[name])


def _at_least(name: str, value: float, limit: float, advice: str) -> GateCheck:
    failed = value < limit - _SLACK
    return GateCheck(name, value, limit, not failed, advice if failed else None)


def _all_missed(positives: int, total: int, k: int) -> float:
    """Return the chance that none of ``positives`` among ``total`` is in a draw of ``k``."""
    missed = 1.0
    for drawn in range(min(k, total)):
        missed *= max(0, total - positives - drawn) / (total - drawn)
    return missed
