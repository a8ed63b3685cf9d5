"""Find images that look like copies of others: of one folder, and of all that the workspace knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from continual_dml.fingerprints import WORDS, Codes, is_plain, nearest
from continual_dml.ports import ProgressListener, Store
from continual_dml.records import ImageRecord, LoadedTask, Role
from continual_dml.workflows.fingerprint_files import Fingerprints, stored_fingerprints

_AT_ONCE = 256  # between two looks at the progress


@dataclass(frozen=True, slots=True)
class NearCopy:
    """A new image and what it nearly is: another new one (``item_id`` None) or one of the workspace.

    ``bits_apart``: of 256; ``across``: one of the two is held out to ask with and the other is searched, so
    that the one finds the other whatever the model has learned.
    """

    path: str
    other: str
    item_id: int | None
    bits_apart: int
    across: bool


@dataclass(frozen=True, slots=True)
class NearCopies:
    """What was found; each pair is told once.

    ``new_unknown`` images are too plain to be compared; ``earlier_unknown`` too, or came before fingerprints
    were kept.
    """

    found: tuple[NearCopy, ...] = ()
    new_unknown: int = 0
    earlier_unknown: int = 0


NOTHING_NEAR = NearCopies()


@dataclass(frozen=True, slots=True, eq=False)
class _Candidates:
    """What images are compared with: codes (N, 4), and of each its row of the folder or its item.

    ``ids`` (N,): numbers of items, or less than 0 for rows of the folder: row r is -1 - r.
    """

    codes: Codes
    ids: NDArray[np.int64]


def find_near_copies(
    task: LoadedTask, rows: NDArray[np.int64], store: Store, listener: ProgressListener
) -> NearCopies:
    """Compare some images of a folder with one another and with all that ``store`` knows.

    An image is told with the nearest one of the other role, where one is near: of a held-out image and a
    searched one the user should know. Else with the nearest of its own.

    Args:
        task: the folder.
        rows: (n,) of the images that are new.
        store: whose images the new ones are compared with.
        listener: told one unit per new image.
    """
    known = _known(store)
    images = sum(one.train_images + one.query_images for one in (*store.tasks(), *store.additions()))
    earlier_unknown = images - int((~is_plain(known.codes)).sum())
    if task.fingerprints is None:
        return NearCopies((), len(rows), earlier_unknown)
    codes = task.fingerprints
    searched_ids = store.gallery_labels().ids
    is_query = np.array([task.records[int(row)].role is Role.QUERY for row in rows], dtype=bool)
    listener.start("looking for near-duplicates", len(rows))
    new = {asks: _of_folder(codes, rows[is_query == asks]) for asks in (False, True)}
    known_searched = np.isin(known.ids, searched_ids)
    old = {asks: _Candidates(known.codes[own], known.ids[own])
           for asks, own in ((False, known_searched), (True, ~known_searched))}  # fmt: skip
    pairs: list[tuple[int, int, int, bool]] = []
    for asks in (False, True):
        own = new[asks]
        # Each pair is told by the later one of the two, and held-out images come last.
        other = _joined(old[True]) if not asks else _joined(old[False], new[False])
        same = _joined(old[asks], own)
        before = len(old[asks].ids) + np.arange(len(own.ids))
        for start in range(0, len(own.ids), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            pairs += _pairs(own, part, other, same, before[part])
            listener.advance(len(own.ids[part]))
    found = _described(sorted(pairs), task.records, store)
    return NearCopies(found, int(is_plain(codes[rows]).sum()), earlier_unknown)


def _pairs(
    own: _Candidates, part: slice, other: _Candidates, same: _Candidates, before: NDArray[np.int64]
) -> list[tuple[int, int, int, bool]]:
    """Return row, id of the nearest, bits apart, and whether it is of the other role, where one is near."""
    codes = own.codes[part]
    across, across_bits = nearest(codes, other.codes)
    within, within_bits = nearest(codes, same.codes, before)
    return [
        (-1 - int(own.ids[part][row]), int(other.ids[across[row]]), int(across_bits[row]), True)
        if across[row] >= 0
        else (-1 - int(own.ids[part][row]), int(same.ids[within[row]]), int(within_bits[row]), False)
        for row in np.flatnonzero((across >= 0) | (within >= 0))
    ]


def _described(
    pairs: Sequence[tuple[int, int, int, bool]], records: Sequence[ImageRecord], store: Store
) -> tuple[NearCopy, ...]:
    items = store.items([near for _, near, _, _ in pairs if near >= 0])
    return tuple(
        NearCopy(records[row].path, records[-1 - near].path, None, bits, across)
        if near < 0
        else NearCopy(records[row].path, items[near].path, near, bits, across)
        for row, near, bits, across in pairs
    )


def _known(store: Store) -> Fingerprints:
    head = store.head()
    if head is None:
        return Fingerprints(np.empty(0, dtype=np.int64), np.empty((0, WORDS), dtype=np.uint64))
    return stored_fingerprints(store.open_generation(head))


def _of_folder(codes: Codes, rows: NDArray[np.int64]) -> _Candidates:
    return _Candidates(codes[rows], -1 - rows)


def _joined(*parts: _Candidates) -> _Candidates:
    return _Candidates(
        np.concatenate([part.codes for part in parts]), np.concatenate([part.ids for part in parts])
    )
