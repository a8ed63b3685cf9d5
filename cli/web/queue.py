"""Queries that come at the same time go through the network together, in one thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import final

from cli.live_search import WARMED_UP, Asked, Found, LiveSearcher
from cli.web.measures import Measures
from continual_dml.errors import CdmlError

MOST_TOGETHER = WARMED_UP[-1]
MOST_WAITING = 1000


class Busy(CdmlError):
    """So many queries wait already that another one would wait too long."""


@final
class SearchQueue:
    """Context manager with the one thread that searches; thread-safe.

    Several threads that each run the network would only wait for each other: two cores embed sixteen images
    in one go in about half the time that they take one by one.

    Args:
        searcher: open for as long as the queue is.
        measures: where queries are counted.
        most_waiting: so many may wait.
    """

    def __init__(self, searcher: LiveSearcher, measures: Measures, most_waiting: int = MOST_WAITING) -> None:
        self._searcher = searcher
        self._measures = measures
        self._waiting: queue.Queue[tuple[Asked, Future[Found]] | None] = queue.Queue(most_waiting)
        self._thread = threading.Thread(target=self._work, name="cdml-search", daemon=True)

    def __enter__(self) -> SearchQueue:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._waiting.put(None)
        self._thread.join()

    def submit(self, asked: Asked) -> Future[Found]:
        """Return what will hold the answer, or the error that there is instead of one.

        Raises:
            Busy: too many wait already.
        """
        future: Future[Found] = Future()
        try:
            self._waiting.put_nowait((asked, future))
        except queue.Full:
            raise Busy("too many queries are waiting; try again in a moment") from None
        self._measures.waiting.set(self._waiting.qsize())
        return future

    def _work(self) -> None:
        while True:
            first = self._waiting.get()
            if first is None:
                return
            together = [first]
            last = False
            while len(together) < MOST_TOGETHER:
                try:
                    another = self._waiting.get_nowait()
                except queue.Empty:
                    break
                if another is None:
                    last = True
                    break
                together.append(another)
            self._measures.waiting.set(self._waiting.qsize())
            self._answer([one for one in together if one[1].set_running_or_notify_cancel()])
            if last:
                return

    def _answer(self, together: Sequence[tuple[Asked, Future[Found]]]) -> None:
        """Search; where that fails, each query alone, so that nobody bears the error of another's."""
        if not together:
            return
        self._measures.together.observe(len(together))
        try:
            found = self._searcher.search([asked for asked, _ in together])
        except Exception as error:  # noqa: BLE001 - whoever asked is told, and the thread goes on
            if len(together) == 1:
                together[0][1].set_exception(error)
                return
            for one in together:
                self._answer([one])
            return
        for (_, future), answer in zip(together, found, strict=True):
            future.set_result(answer)
