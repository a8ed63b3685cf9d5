"""What the quality gate said, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cli.render.amounts import share

if TYPE_CHECKING:
    from continual_dml.records import Generation

_LIMITS = {"forgetting": "at most"}


def gate_line(report: Mapping[str, Any], *, live: bool) -> str | None:
    """Return the verdict of a generation's gate in one line; None where an earlier cdml had no gate.

    >>> check = {"name": "recall", "value": 0.8, "limit": 0.4, "passed": True, "note": None}
    >>> gate_line({"gate": {"passed": True, "refusal": None, "checks": [check]}}, live=True)
    'gate: passed (recall 0.800, at least 0.400)'
    """
    gate = report.get("gate")
    if gate is None:
        return None
    judged = [check_words(check) for check in gate["checks"] if check["value"] is not None]
    if gate["passed"]:
        return f"gate: passed ({'; '.join(judged) or 'nothing could be judged'})"
    number = report["generation"]
    state = "promoted by hand" if live else f"not live, `cdml promote {number}` makes it so all the same"
    advice = "; ".join(check["note"] for check in gate["checks"] if not check["passed"])
    return f"gate: failed ({'; '.join(judged)}): {state}" + ("" if live else f"; {advice}")


def refused_line(generation: Generation, gate: Mapping[str, Any]) -> str:
    """Return what to know of a generation that its gate refused: what failed, what is live, what to do."""
    number, parent = generation.generation_id, generation.parent_id
    serving = "nothing is live yet" if parent is None else f"generation {parent} keeps serving"
    advice = "; ".join(check["note"] for check in gate["checks"] if not check["passed"])
    return (
        f"error: the quality gate refused generation {number}: {gate['refusal']}; {serving}; {advice}; "
        f"`cdml report --generation {number}` shows it, `cdml promote {number}` makes it live all the same"
    )


def check_words(check: Mapping[str, Any]) -> str:
    """Return what a check measured and what it asks for."""
    name, side = check["name"].replace("_", " "), _LIMITS.get(check["name"], "at least")
    return f"{name} {share(check['value'])}, {side} {share(check['limit'])}"
