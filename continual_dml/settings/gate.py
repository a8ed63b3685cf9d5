"""What a new generation must reach to go live by itself."""

from __future__ import annotations

from dataclasses import dataclass

from continual_dml.settings.checks import between


@dataclass(frozen=True, slots=True)
class GateSettings:
    """The limits of the quality gate; ``workflows/quality_gate.py`` says what is measured.

    ``max_forgetting``: how much Recall@1 of the earlier tasks may fall, on average; 1 switches the check off.
    ``min_recall``: Recall@1 that the new task's queries must reach within their task; None asks for more than
    chance gives, 0 switches the check off. ``min_refresh_efficiency``: how much of what embedding anew would
    bring the carried-over vectors must bring; None and 0 ask for nothing.
    """

    max_forgetting: float = 0.25
    min_recall: float | None = None
    min_refresh_efficiency: float | None = None

    def __post_init__(self) -> None:
        between("max-forgetting", self.max_forgetting, 0.0, 1.0)
        for name, value in (
            ("min-recall", self.min_recall),
            ("min-refresh-efficiency", self.min_refresh_efficiency),
        ):
            if value is not None:
                between(name, value, 0.0, 1.0)
