"""The sockets that a server listens on: one for browsers, one in the workspace for `cdml query`."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cli.served import socket_path
from continual_dml.errors import CdmlError
from storage.workspace import Workspace

_BACKLOG = 1024


@contextmanager
def network_socket(host: str, port: int) -> Iterator[socket.socket]:
    """Yield a listening socket; port 0 takes any that is free.

    Raises:
        CdmlError: the address cannot be listened on.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
    except OSError as error:
        raise CdmlError(f"cannot listen on {host}: {error.strerror or error}; give another --host") from error
    with listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(address)
            listening.listen(_BACKLOG)
        except OSError as error:
            reason = error.strerror or error
            raise CdmlError(f"cannot listen on {host} port {port}: {reason}; give another --port") from error
        yield listening


@contextmanager
def own_socket(workspace: Workspace) -> Iterator[socket.socket | str]:
    """Yield the workspace's own listening socket, which only its owner may use, or why there is none."""
    path = socket_path(workspace.root)
    if _answers(path):
        yield "another server answers `cdml query` in this workspace already"
        return
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with listening:
        try:
            made = _bound(listening, path)
        except OSError as error:
            yield f"`cdml query` cannot use this server: {path}: {error.strerror or error}"
            return
        try:
            yield listening
        finally:
            with suppress(OSError):
                if path.lstat().st_ino == made:
                    path.unlink()


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        try:
            asking.connect(str(path))
        except OSError:  # also where the path is too long
            return False
    return True


def _bound(listening: socket.socket, path: Path) -> int:
    """Listen at ``path``, in the place of what a crashed server left there; return the file's inode."""
    fresh = path.with_name(f".{path.name}")  # nobody finds it before its permissions are right
    fresh.unlink(missing_ok=True)
    listening.bind(str(fresh))
    fresh.chmod(0o600)
    listening.listen(_BACKLOG)
    os.replace(fresh, path)  # noqa: PTH105 - what stands there may be a socket of a dead server
    return path.lstat().st_ino
