"""Queries from Python: one at a time, or in a session that keeps model and index in memory."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from typing import TYPE_CHECKING, final

from cdml.answers import Answer, answers
from continual_dml.errors import SettingsError

if TYPE_CHECKING:
    from types import TracebackType

    import numpy as np
    from numpy.typing import NDArray

    from cli.live_search import LiveSearcher
    from storage.workspace import Workspace
    from streams.given_images import GivenImage


@final
class Searcher:
    """Context manager that answers queries without opening the workspace each time.

    :meth:`Workspace.searcher` makes one. Any number of threads may ask it at once, and any number of
    processes may have one, also while a writer is at work. Before each question it looks whether a newer
    generation is live, and loads it; every answer comes from exactly one generation. One that cannot be
    loaded does not take over: the one before goes on, and :attr:`problem` says why.

    Args:
        stored: a workspace with at least one task.
        device: where to compute, ``auto``, ``cpu`` or ``cuda``.
        follow: look for a newer generation before each question; without it :meth:`refresh` does.

    Raises:
        CatalogError: on entry, where nothing is learned yet.
        GalleryError: on entry, where the live generation is damaged.
        SettingsError: on entry, where the device is not there.
    """

    def __init__(self, stored: Workspace, device: str = "auto", *, follow: bool = True) -> None:
        from cli.live_search import LiveSearcher

        check_device(device)
        self._stored = stored
        self._follow = follow
        self._live: LiveSearcher = LiveSearcher(stored, device)
        self._resources = ExitStack()

    def __enter__(self) -> Searcher:
        self._resources.enter_context(self._live)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._resources.close()

    @property
    def generation(self) -> int:
        """Number of the generation that answered last, or will answer first."""
        return self._live.health.generation_id

    @property
    def problem(self) -> str | None:
        """Why a newer generation does not answer, None where none is known."""
        return self._live.health.problem

    def refresh(self) -> bool:
        """Let a newer generation answer from now on, where there is one and it is whole.

        Returns:
            Whether another one answers now.
        """
        return self._live.refresh()

    def query(
        self, image: GivenImage, k: int = 10, *, where: str | None = None, threshold: bool = True
    ) -> Answer:
        """Find the gallery images most like ``image``; arguments and errors as of :meth:`Workspace.query`."""
        return self.query_many([image], k, where=where, threshold=threshold)[0]

    def query_many(
        self, images: Iterable[GivenImage], k: int = 10, *, where: str | None = None, threshold: bool = True
    ) -> list[Answer]:
        """Answer several queries from one generation, together; arguments and errors as of :meth:`query`."""
        from cli.live_search import Asked
        from storage.filters import parse_filter

        check_neighbours(k)
        chosen = None if where is None else parse_filter(where)
        squares = read_squares(self._stored, images)
        if self._follow:
            self._live.refresh()
        asked = [
            Asked(f"query {number}", k, square, where=chosen, judged=threshold)
            for number, square in enumerate(squares)
        ]
        return [answers(found.answer)[0] for found in self._live.search(asked)] if asked else []

    def embed(self, images: Iterable[GivenImage]) -> NDArray[np.float32]:
        """Return unit vectors (n, D) that images are searched with; arguments as of :meth:`query_many`."""
        squares = read_squares(self._stored, images)
        if self._follow:
            self._live.refresh()
        with self._live.snapshot() as snapshot:
            return snapshot.prepared.searcher.embed(squares)


def query_once(
    stored: Workspace,
    images: Iterable[GivenImage],
    k: int,
    where: str | None,
    device: str,
    *,
    threshold: bool,
) -> list[Answer]:
    """Answer queries by a workspace that is opened and closed again; arguments and errors as of queries."""
    from cli.searching import search_in
    from cli.wiring import reading
    from storage.filters import parse_filter

    check_neighbours(k)
    check_device(device)
    chosen = None if where is None else parse_filter(where)
    squares = read_squares(stored, images)
    names = [f"query {number}" for number in range(len(squares))]
    with reading(stored) as reader:
        return answers(search_in(reader, names, squares, k, device, chosen, judged=threshold))


def read_squares(stored: Workspace, images: Iterable[GivenImage]) -> NDArray[np.uint8]:
    """Return images as the squares (n, S, S, 3) that the workspace's networks were trained on."""
    from streams.given_images import given_squares

    return given_squares(images, stored.settings.model.stored_side_pixels, stored.settings.streams)


def check_device(device: str) -> None:
    """Accept a place to compute.

    Raises:
        UnknownChoice: there is no such device.
    """
    from continual_dml.settings import DEVICES
    from continual_dml.settings.checks import choice

    choice("device", device, DEVICES)


def check_neighbours(k: int) -> None:
    """Accept a number of neighbours.

    Raises:
        SettingsError: less than one.
    """
    if k < 1:
        raise SettingsError(f"k = {k}: ask for one neighbour or more")
