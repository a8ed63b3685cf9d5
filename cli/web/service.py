"""What the routes of one server work with."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

from cli.live_search import LiveSearcher
from cli.web.access import Access
from cli.web.bodies import BodyLimits
from cli.web.measures import Measures
from cli.web.queue import SearchQueue
from storage.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FOLLOW_SECONDS = 1.0
"""A new generation answers about so long after it was published."""


@dataclass(frozen=True, slots=True, eq=False)
class Service:
    """One server's workspace, the searcher over it, the threads that decode, and its rules."""

    workspace: Workspace
    searcher: LiveSearcher
    queue: SearchQueue
    decoders: ThreadPoolExecutor
    measures: Measures
    access: Access
    bodies: BodyLimits

    def square_of(self, content: bytes) -> NDArray[np.uint8]:
        """Return the square (S, S, 3) that the networks are given of the bytes of an image file.

        Raises:
            UnreadableImage: they are no usable image.
        """
        from streams.given_images import given_square

        settings = self.workspace.settings
        side = settings.model.stored_side_pixels
        return given_square(content, side, settings.streams, "the image that was sent")


@contextmanager
def opened(workspace: Workspace, device: str, access: Access, bodies: BodyLimits) -> Iterator[Service]:
    """Yield a service that follows the workspace's newest generation.

    Raises:
        CatalogError: nothing is ingested yet, or the catalogue cannot answer.
        GalleryError: the live generation is damaged.
        SettingsError: the device is not there.
    """
    import os

    measures = Measures()
    with ExitStack() as resources:
        searcher = resources.enter_context(LiveSearcher(workspace, device, warm=True))
        resources.enter_context(searcher.following(FOLLOW_SECONDS))
        queue = resources.enter_context(SearchQueue(searcher, measures))
        decoders = resources.enter_context(ThreadPoolExecutor(os.cpu_count() or 1, "cdml-decode"))
        yield Service(workspace, searcher, queue, decoders, measures, access, bodies)


def _service_of(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


Served = Annotated[Service, Depends(_service_of)]
