"""The rule that a query's answer is judged by: is it a match, and how sure is its category."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from continual_dml.metrics.reliability import Logistic
from continual_dml.verdicts import Verdict

LOOKED_AT = 50
"""So many nearest items say how far the best is ahead of the next category."""
BUILT_EARLIER = "this generation was built before there were thresholds; the next one has one"


NOT_JUDGED = Verdict(match=None)


@dataclass(frozen=True, slots=True)
class AcceptanceRule:
    """Judges the nearest item of a query by ``score = cosine - offset of its category``.

    ``threshold``: of the score, None where there is none, ``reason`` then says why. ``offsets``: by category,
    above 0 where items lie closer together than usual; 0 for a category that is not there. ``likely``: how
    likely the category is right, from the score and its lead over the nearest item of another category.
    """

    threshold: float | None
    reason: str | None = None
    offsets: Mapping[int, float] = field(default_factory=dict)
    likely: Logistic | None = None

    def scores(
        self, similarities: NDArray[np.floating], categories: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return the scores (n,) of cosines (n,) to items of ``categories`` (n,)."""
        offsets = [self.offsets.get(int(category), 0.0) for category in categories]
        return np.asarray(similarities, dtype=np.float64) - np.array(offsets, dtype=np.float64)

    def judge(self, similarities: Sequence[float], categories: Sequence[int]) -> Verdict:
        """Return what is to be thought of an answer.

        Args:
            similarities: cosines of the nearest items, best first; the more there are, the better the lead
                is known. Where all are of one category, the last one stands for the first of another.
            categories: of these items.

        >>> rule = AcceptanceRule(0.5, offsets={7: 0.1})
        >>> rule.judge([0.65, 0.2], [7, 8]).match, rule.judge([0.55, 0.2], [7, 8]).match
        (True, False)
        """
        if not len(similarities):
            return NOT_JUDGED if self.threshold is None else Verdict(match=False)
        offset = self.offsets.get(int(categories[0]), 0.0)
        score = float(similarities[0]) - offset
        confidence = None
        if self.likely is not None:
            others = (s for s, c in zip(similarities, categories, strict=True) if c != categories[0])
            lead = float(similarities[0]) - float(next(others, similarities[-1]))
            confidence = float(self.likely(np.array([[score, lead]]))[0])
        if self.threshold is None:
            return Verdict(None, None, confidence)
        return Verdict(score >= self.threshold, self.threshold + offset, confidence)

    @classmethod
    def from_report(cls, report: Mapping[str, Any]) -> AcceptanceRule:
        """Return the rule that a generation's report holds."""
        found = report.get("no_match")
        if found is None:
            return cls(None, BUILT_EARLIER)
        offsets = {int(number): float(one["offset"]) for number, one in found["categories"].items()}
        likely = found["confidence"]
        return cls(
            found["threshold"],
            found["reason"],
            offsets,
            None if likely is None else Logistic(likely["constant"], (likely["score"], likely["lead"])),
        )
