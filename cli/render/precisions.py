"""What computing in half precision changed, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cli.render.amounts import counted, share


def precision_text(report: Mapping[str, Any]) -> str | None:
    """Return what half precision cost the new task's queries; None where nothing was computed so.

    >>> checked = {"checked": 40, "recall_at_1": 0.9, "recall_at_1_fp32": 0.925, "lost": 1, "won": 0}
    >>> precision_text({"precision": {**checked, "least_cosine": 0.9987, "note": None}})[:60]
    'Half precision (bf16), checked with 40 queries of the new ta'
    """
    found = report.get("precision")
    if found is None or not found["checked"]:
        return None
    asked = counted(found["checked"], "query", "queries")
    text = (
        f"Half precision (bf16), checked with {asked} of the new task: "
        f"Recall@1 {share(found['recall_at_1'])}, in single precision {share(found['recall_at_1_fp32'])} "
        f"({found['lost']} lost, {found['won']} won); cosine between both at least "
        f"{found['least_cosine']:.4f}."
    )
    return text if found["note"] is None else f"{text} Note: {found['note']}."
