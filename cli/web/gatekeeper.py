"""What stands between the network and the application: access, headers, time, and what is counted."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import anyio

from cli.web.access import Access, Asking
from cli.web.measures import Measures

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

LONGEST_SECONDS = 60.0
"""So long may a request take from its last header to the last byte that its client has taken."""

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": PAGE_POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class Gatekeeper:
    """An ASGI application around another one.

    Args:
        inner: the application.
        access: who may ask over the network; the workspace's own socket has the file system's permissions.
        measures: where requests are counted.
        longest_seconds: that a request may take.
    """

    def __init__(
        self,
        inner: Application,
        access: Access,
        measures: Measures,
        longest_seconds: float = LONGEST_SECONDS,
    ) -> None:
        self._inner = inner
        self._access = access
        self._measures = measures
        self._longest = longest_seconds

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        begin = time.perf_counter()
        answer = _Answer(send)
        refused = None if comes_from_own_socket(scope) else self._access.refusal(_asking(scope))
        if refused is not None:
            await _refuse(answer, *refused)
        else:
            try:
                with anyio.fail_after(self._longest):
                    await self._inner(scope, receive, answer)
            except TimeoutError:
                if answer.status is not None:
                    raise  # the server then cuts the connection: its client does not take what it asked for
                await _refuse(answer, 503, "this took too long; try again")
        route = getattr(scope.get("route"), "path", "other")
        self._measures.count(route, answer.status or 0, time.perf_counter() - begin)


class _Answer:
    """Sends, with our headers where the application has none of its own, and remembers the status."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status: int | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            there = {name for name, _ in message.get("headers", ())}
            ours = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
            missing = [(name, value) for name, value in ours if name not in there]
            message = {**message, "headers": [*message.get("headers", ()), *missing]}
        await self._send(message)


def comes_from_own_socket(scope: MutableMapping[str, Any]) -> bool:
    """Say whether a request came through the workspace's own socket: such a server address has no port."""
    server = scope.get("server")
    return server is not None and server[1] is None


def _asking(scope: MutableMapping[str, Any]) -> Asking:
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        text = value.decode("latin-1")
        key = name.decode("latin-1").lower()
        headers[key] = f"{headers[key]}; {text}" if key in headers else text
    return Asking(scope["method"], scope["path"], headers)


async def _refuse(send: Send, status: int, reason: str) -> None:
    body = json.dumps({"error": reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
