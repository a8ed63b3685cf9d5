"""Parts of one index that were searched lately: who filters once does so again, for the next image."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from cli.searching import index_among

if TYPE_CHECKING:
    from continual_dml.ports import VectorIndex
    from storage.filters import Filter
    from storage.reader import WorkspaceReader

MOST_ITEMS = 200_000
"""Of all parts together: each holds a copy of its vectors."""


class FilteredIndexes:
    """The parts of a generation's index, those used last kept; thread-safe.

    Finding the items that a filter is true of reads the catalogue, and copying their vectors takes as long as
    a search: in a large gallery both together take much longer than that.

    Args:
        most_items: of all parts that are kept.
    """

    def __init__(self, most_items: int = MOST_ITEMS) -> None:
        self._most_items = most_items
        self._kept: OrderedDict[Filter, VectorIndex] = OrderedDict()
        self._lock = threading.Lock()

    def among(self, reader: WorkspaceReader, index: VectorIndex, where: Filter | None) -> VectorIndex:
        """Return the part of ``index`` that a filter is true of; all of it without one.

        Args:
            reader: of the generation, the same at each call.
            index: of the generation, the same at each call.
            where: the filter.
        """
        if where is None:
            return index
        with self._lock:
            found = self._kept.get(where)
            if found is not None:
                self._kept.move_to_end(where)
                return found
        part = index_among(reader, index, where)
        if len(part) > self._most_items:
            return part
        with self._lock:
            self._kept[where] = part
            while sum(map(len, self._kept.values())) > self._most_items:
                self._kept.popitem(last=False)
        return part
