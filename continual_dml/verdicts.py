"""What is to be thought of an answer: a value that the command line can hold without numpy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be thought of an answer.

    ``match``: whether the nearest item is near enough to be of the query's category, None where there is no
    threshold; ``threshold``: the cosine that it takes in that item's category; ``confidence``: how likely the
    nearest item's category is the query's, given that it is one of the gallery's; None where not known.
    """

    match: bool | None
    threshold: float | None = None
    confidence: float | None = None
