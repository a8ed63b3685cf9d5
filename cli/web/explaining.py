"""Why two images are similar: what each loses of its similarity to the other when a region is covered."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
from fastapi import HTTPException
from numpy.typing import NDArray

from cli.live_search import LoadedGeneration, embed_together
from cli.web.documents import Explanation, nearest_classes
from cli.web.parameters import not_found
from cli.web.pictures import square_of_item
from cli.web.service import Service
from continual_dml.records import CatalogItem, Role
from continual_dml.workflows.explain_pair import similarity_map

if TYPE_CHECKING:
    from storage.live_reader import Snapshot

_ONE_AT_A_TIME = threading.Lock()
"""An explanation embeds a hundred images: several at once would keep all searches waiting."""

Square = NDArray[np.uint8]
Vector = NDArray[np.float32]


def query_of_item(service: Service, item_id: int) -> tuple[Square | None, Vector | None]:
    """Return what an item is asked with: its stored vector, or its square where it has none.

    Raises:
        HTTPException: there is no such item (404), or its image is gone (410).
    """
    with service.searcher.snapshot() as snapshot:
        item = item_of(snapshot, item_id)
        vector = snapshot.prepared.vector_of(item_id) if item.role is Role.GALLERY else None
        if vector is not None:
            return None, vector
    square = square_of_item(service.workspace, item)
    if square is None:
        raise HTTPException(410, f"the image of item {item_id} is gone: it cannot be asked with")
    return square, None


def explain(service: Service, square: Square | None, query_id: int | None, item_id: int) -> Explanation:
    """Return which regions make a query and an item similar.

    Args:
        service: that is asked.
        square: the query's image (S, S, 3), or None where the query is an item.
        query_id: that item.
        item_id: of the other image.

    Raises:
        HTTPException: there is no such item (404), or both images are gone (410).
    """
    with _ONE_AT_A_TIME, service.searcher.snapshot() as snapshot:
        loaded = snapshot.prepared
        query = None if query_id is None else item_of(snapshot, query_id)
        item = item_of(snapshot, item_id)
        own = square if query is None else square_of_item(service.workspace, query)
        other = square_of_item(service.workspace, item)
        own_vector = _vector(loaded, query, own)
        other_vector = _vector(loaded, item, other)

        def embed(squares: Square) -> Vector:
            return embed_together(loaded.searcher, squares)

        return Explanation(
            generation=snapshot.generation.generation_id,
            similarity=float(own_vector @ other_vector),
            query_map=None if own is None else similarity_map(embed, own, other_vector).lost.tolist(),
            item_map=None if other is None else similarity_map(embed, other, own_vector).lost.tolist(),
            classes=nearest_classes(loaded, own_vector),
        )


def item_of(snapshot: Snapshot[LoadedGeneration], item_id: int) -> CatalogItem:
    """Return an item of a generation.

    Raises:
        HTTPException: there is no such item (404).
    """
    item = snapshot.reader.items([item_id]).get(item_id)
    if item is None:
        raise not_found("item", item_id)
    return item


def _vector(loaded: LoadedGeneration, item: CatalogItem | None, square: Square | None) -> Vector:
    """Return the stored vector of a gallery item, or what the model makes of a square."""
    if item is not None and item.role is Role.GALLERY:
        stored = loaded.vector_of(item.item_id)
        if stored is not None:
            return stored
    if square is None:
        number = "" if item is None else f" of item {item.item_id}"
        raise HTTPException(410, f"the image{number} is gone: it cannot be compared")
    vector: Vector = loaded.searcher.embed(square[None])[0]
    return vector
