"""Parameters that several routes share: numbers within what the catalogue can hold, never paths."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Annotated

from fastapi import HTTPException
from pydantic import Field

LARGEST = 2**63 - 1
"""What every database takes for a whole number."""

ItemId = Annotated[int, Field(ge=0, le=LARGEST, description="number of an item")]
OptionalId = Annotated[int | None, Field(ge=0, le=LARGEST)]


def normalised_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return names of categories or tasks as an ingest writes them."""
    return tuple(unicodedata.normalize("NFC", name) for name in names)


def not_found(what: str, number: int) -> HTTPException:
    """Return the error for something that the generation that answers does not hold."""
    return HTTPException(404, f"there is no {what} {number} in the generation that answers")
