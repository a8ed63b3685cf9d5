"""Runs a server until it is told to stop."""

from __future__ import annotations

import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

import uvicorn

from cli.web.access import Access
from cli.web.application import application
from cli.web.bodies import BodyLimits
from cli.web.errors import LOGGER
from cli.web.protocol import PunctualProtocol
from cli.web.service import opened
from cli.web.sockets import network_socket, own_socket
from storage.workspace import Workspace

_KEEP_ALIVE_SECONDS, _FAREWELL_SECONDS = 15, 5
_MOST_CONNECTIONS = 2000


@dataclass(frozen=True, slots=True)
class ServeRequest:
    """Where a server listens, where it computes, who may ask it, and how large an image may be."""

    host: str
    port: int
    device: str
    access: Access
    most_bytes: int


@dataclass(frozen=True, slots=True, eq=False)
class ReadyServer:
    """A server whose sockets listen, so that its ``address`` can be told; :meth:`run` answers."""

    address: str
    server: uvicorn.Server
    sockets: list[socket.socket]

    def run(self) -> None:
        """Answer until the server is told to exit, by a signal where this is the main thread."""
        self.server.run(self.sockets)


def serve(
    workspace: Workspace, request: ServeRequest, note: Callable[[str], None], ready: Callable[[str], None]
) -> None:
    """Serve until the process gets SIGINT or SIGTERM.

    Args:
        workspace: with at least one task.
        request: what is asked for.
        note: is told one line for people.
        ready: is told the address once it can be asked.

    Raises:
        CdmlError: the address cannot be listened on, or the workspace cannot be served.
    """
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        with ready_server(workspace, request, note) as server:
            ready(server.address)
            server.run()
    except KeyboardInterrupt:
        note("stopped")
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def ready_server(
    workspace: Workspace, request: ServeRequest, note: Callable[[str], None]
) -> Iterator[ReadyServer]:
    """Yield a server that has loaded the live generation and listens; arguments and errors as of serve."""
    _log_to(note)
    bodies = BodyLimits(request.most_bytes)
    with (
        network_socket(request.host, request.port) as listening,
        opened(workspace, request.device, request.access, bodies) as service,
        own_socket(workspace) as own,
    ):
        sockets = [listening]
        if isinstance(own, socket.socket):
            sockets.append(own)
        else:
            note(own)
        config = uvicorn.Config(
            application(service),
            http=PunctualProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=_FAREWELL_SECONDS,
            limit_concurrency=_MOST_CONNECTIONS,
        )
        yield ReadyServer(_address(listening), uvicorn.Server(config), sockets)


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}/"


def _stop(number: int, frame: FrameType | None) -> None:
    """Let SIGTERM end a server as Ctrl-C does, so that it leaves no socket behind."""
    raise KeyboardInterrupt


def _log_to(note: Callable[[str], None]) -> None:
    """Send what goes wrong to stderr as lines, and what uvicorn says of clients that misbehave nowhere."""

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            note(self.format(record))

    LOGGER.handlers = [Lines()]
    LOGGER.propagate = False
    logging.getLogger("uvicorn").handlers = [logging.NullHandler()]
    logging.getLogger("uvicorn").propagate = False
