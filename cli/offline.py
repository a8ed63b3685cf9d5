"""``--offline``: this process opens no connection to another machine."""

from __future__ import annotations

import ipaddress
import os
import sys

from continual_dml.errors import CdmlError

_HERE = ("", "localhost")
_TOLD = {"HF_HUB_OFFLINE": "1", "WANDB_MODE": "disabled"}
"""Libraries with a switch of their own are told, so that they do not even try."""


def go_offline() -> None:
    """Refuse every connection of Python code to another machine, until the process ends.

    Looking up a name counts: it asks another machine. A catalogue in PostgreSQL is reached through its own
    C library and is not refused, for without it there is no workspace.
    """
    os.environ.update(_TOLD)
    sys.addaudithook(_refuse)


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    if event == "socket.connect":
        address = arguments[1]
        host = (
            address[0] if isinstance(address, tuple) and address else None
        )  # a path: a socket of this machine
    elif event == "socket.getaddrinfo":
        host = arguments[0]
    else:
        return
    if host is not None and not _is_here(host):
        raise CdmlError(f"--offline: a connection to {host} was refused; run without it to allow this")


def _is_here(host: object) -> bool:
    text = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
    if text in _HERE:
        return True
    try:
        return ipaddress.ip_address(text).is_loopback
    except ValueError:
        return False
