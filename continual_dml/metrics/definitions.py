"""One exact sentence per number of a report, to be printed beside it; nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping

COMPATIBILITY_DEFINITIONS: Mapping[str, str] = {
    "kept_images": (
        "Kept images: the workspace's copies of held-out images of earlier tasks, which stand for gallery "
        "items whose files may be gone: each is searched, by the live model, among all the others."
    ),
    "stale": "Stale: Recall@1 on the kept images where earlier ones are left as they were before the task.",
    "projected": "Projected: Recall@1 on the kept images where drift maps carry earlier ones forward.",
    "reembedded": "Re-embedded: Recall@1 on the kept images where all are embedded by the live model.",
    "refresh_efficiency": (
        "Refresh efficiency: (projected - stale) / (re-embedded - stale), means over earlier tasks; 1 is as "
        "good as opening every image again, below 0 is worse than doing nothing."
    ),
    "overlap_at_10": (
        "Overlap@10: share of the ten nearest kept images that are the same as with re-embedded ones."
    ),
    "estimated_error": (
        "Estimated error: 1 - cosine between an item's vector and the one that the live model would give it, "
        "as predicted by the doubt of the drift maps, scaled to what was measured on the kept images."
    ),
}

NO_MATCH_DEFINITIONS: Mapping[str, str] = {
    "false_accepts": (
        "False accepts: share of queries of a category that the gallery does not hold whose nearest item "
        "reaches the threshold all the same, mean over categories; expected from queries whose own category "
        "is left out of the gallery, and from what earlier generations said of images of later tasks."
    ),
    "true_accepts": "True accepts: share of held-out queries whose nearest item reaches its threshold.",
    "auroc": "AUROC: how often a query of a category that the gallery holds scores above one of another.",
    "right": (
        "Right: share of the answers that name a category which are right, over held-out queries of all "
        "tasks, with its 95 % interval (Wilson)."
    ),
}
