"""How much of a gallery may be embedded anew."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RefreshBudget:
    """How much may be embedded anew: at most ``items`` images, for ``seconds``; None does not limit it."""

    items: int | None = None
    seconds: float | None = None

    @property
    def is_limited(self) -> bool:
        """Whether anything limits it."""
        return self.items is not None or self.seconds is not None


NO_LIMIT = RefreshBudget()
