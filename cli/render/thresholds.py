"""The no-match threshold and how reliable each category's answers are, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cli.render.amounts import counted, share
from cli.render.tables import Table

MOST_DOUBTFUL = 10


def threshold_text(report: Mapping[str, Any]) -> str | None:
    """Return what the threshold does, and what the one before did to the new task; None where unknown."""
    found = report.get("no_match")
    if found is None:
        return None
    if found["threshold"] is None:
        text = f"No threshold: {found['reason']}; every query is answered."
    else:
        text = (
            f"No match below {share(found['threshold'])}, more where a category's images lie closer "
            f"together: about {_percent(found['false_accepts'])} of queries of unknown categories reach it, "
            f"and {_percent(found['true_accepts'])} of known ones; AUROC {share(found['auroc'])}."
        )
    tests = found["tests"]
    if tests and tests[-1]["task_id"] == report["tasks"][-1]["id"] and tests[-1]["accepted"] is not None:
        test, name = tests[-1], report["tasks"][-1]["name"]
        text += (
            f" The threshold of generation {test['generation']} let in {_percent(test['accepted'])} of "
            f"'{name}', {counted(test['categories'], 'category', 'categories')} that it had never seen."
        )
    return text


def doubtful_categories(report: Mapping[str, Any]) -> Table | None:
    """Return the categories whose answers can be trusted least, or None where nothing is known of them."""
    known = [one for one in report.get("no_match", {}).get("categories", {}).values() if one["answers"]]
    if not known:
        return None
    least = sorted(known, key=lambda one: (one["interval"][0], one["right"] / one["answers"], one["name"]))
    rows = [
        [
            one["name"],
            str(one["images"]),
            str(one["answers"]),
            share(one["right"] / one["answers"]),
            f"{share(one['interval'][0])} to {share(one['interval'][1])}",
        ]
        for one in least[:MOST_DOUBTFUL]
    ]
    title = "Answers that can be trusted least, by category"
    return Table(title, ["", "images", "answers", "right", "95 % interval"], rows)


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"
