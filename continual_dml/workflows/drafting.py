"""A draft that is abandoned where building it goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from continual_dml.errors import CdmlError
from continual_dml.ports import Draft, Store


@contextmanager
def drafting(store: Store, name: str) -> Iterator[Draft]:
    """Begin the next generation, called ``name``; on any error inside the block nothing of it stays."""
    draft = store.begin(name)
    try:
        yield draft
    except BaseException:  # an interrupt must clean up as well
        # The first error is the one to tell; what stays is the next writer's to remove.
        with suppress(CdmlError):
            draft.abandon()
        raise
