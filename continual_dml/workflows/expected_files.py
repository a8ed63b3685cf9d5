"""How many bytes a generation's files will take, told from what it will hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from continual_dml.embedding.embedder import Embedder, embedder_state
from continual_dml.memory.drift_doubt import MOST_DIRECTIONS

FINGERPRINT_BYTES = 40  # with the number of its item
CATALOGUE_BYTES_PER_ITEM = 500  # a row, its indexes, an ordinary path; its line beside the generation
REPORT_BYTES = 80_000  # figures and details
PICTURES, PICTURE_BYTES = 300, 2_500  # of a report's page: at most so many, in base64


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a generation holds.

    ``carried``: how many earlier steps of drift it keeps, for items that were not embedded anew; ``queries``
    as they were born, ``asked`` as its own model sees them.
    """

    items: int
    categories: int
    queries: int
    asked: int
    carried: int


def generation_bytes(holdings: Holdings, embedders: Sequence[Embedder], class_rank: int) -> int:
    """Return the bytes of a generation's own files; of each network its part."""
    items, categories = holdings.items, holdings.categories
    total = 2 * 8 * items  # ids, in the part and in the index
    total += FINGERPRINT_BYTES * (items + holdings.queries)
    total += REPORT_BYTES + PICTURE_BYTES * min(PICTURES, items)
    for embedder in embedders:
        features, dim = embedder.feature_dim, embedder.settings.embedding_dim
        total += items * (2 * features + 2 * 4 * dim)  # feature in half precision; vector, twice
        total += sum(array.nbytes for array in embedder_state(embedder).values())
        total += 8 * (categories * (features + 2 * dim + 7) + features * features)  # statistics
        total += max(0, min(items - categories, class_rank * categories)) * (2 * features + 4)  # directions
        total += 8 * features * (dim + 1)  # head
        total += 4 * holdings.carried * features * (features + 2 + 2 * MOST_DIRECTIONS)  # drift, doubt
        total += features * (2 * holdings.queries + 4 * holdings.asked)
    return total
