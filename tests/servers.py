"""A real server over a workspace, in a thread of the test, on a port of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from cli.web.access import Access
from cli.web.running import ServeRequest, ready_server
from cli.wiring import open_workspace

MOST_BYTES = 1 << 20
_PATIENCE = 60.0


@contextmanager
def serving(
    folder: Path, token: str | None = None, hosts: frozenset[str] = Access().hosts
) -> Iterator[httpx.Client]:
    """Yield a client of a server; ``client.base_url`` is its address."""
    notes: list[str] = []
    request = ServeRequest("127.0.0.1", 0, "cpu", Access(hosts, token), MOST_BYTES)
    with ready_server(open_workspace(folder), request, notes.append) as server:
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            with httpx.Client(base_url=server.address, timeout=_PATIENCE) as client:
                yield client
        finally:
            server.server.should_exit = True
            thread.join()
    assert not [note for note in notes if "unexpected" in note], notes


def until(holds: Callable[[], bool]) -> None:
    """Wait for something that another thread brings about, and fail where it never comes."""
    moment = threading.Event()
    for _ in range(int(_PATIENCE / 0.05)):
        if holds():
            return
        moment.wait(0.05)
    raise AssertionError("it never came")
