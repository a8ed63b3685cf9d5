"""The bodies of requests: read with a cap on their size, on the time, and on all of them together."""

from __future__ import annotations

import anyio
from fastapi import HTTPException, Request
from starlette.requests import ClientDisconnect

SECONDS = 30.0
"""So long may a client take to send an image."""
ALL_TOGETHER = 512 << 20
CLOSING = {"connection": "close"}
"""Header of an answer that is given before the whole request was read: the rest of it is not waited for."""


class BodyLimits:
    """What bodies may take; one for each server.

    Args:
        most_bytes: of one body.
        seconds: until it has to be there.
        all_together: bytes of all bodies that are being read at one moment.
    """

    def __init__(self, most_bytes: int, seconds: float = SECONDS, all_together: int = ALL_TOGETHER) -> None:
        self.most_bytes = most_bytes
        self._seconds = seconds
        self._left = all_together

    async def read(self, request: Request, what: str = "image", most_bytes: int | None = None) -> bytes:
        """Return the body of a request; no more than the cap is ever held.

        Args:
            request: whose body is wanted.
            what: it is, for messages.
            most_bytes: of this one; None takes the cap of all.

        Raises:
            HTTPException: too large (413), too slow (408), empty (400), or too many at once (503).
        """
        most = self.most_bytes if most_bytes is None else most_bytes
        too_large = HTTPException(413, f"the {what} is larger than the limit of {most:,} bytes", CLOSING)
        declared = request.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > most:
            raise too_large
        taken = 0
        content = bytearray()
        try:
            with anyio.fail_after(self._seconds):
                async for chunk in request.stream():
                    if len(content) + len(chunk) > most:
                        raise too_large
                    if len(chunk) > self._left:
                        raise HTTPException(
                            503, "too much is being sent at once; try again in a moment", CLOSING
                        )
                    taken += len(chunk)
                    self._left -= len(chunk)
                    content += chunk
        except TimeoutError:
            reason = f"the {what} did not arrive within {self._seconds:g} seconds"
            raise HTTPException(408, reason, CLOSING) from None
        except ClientDisconnect:
            raise HTTPException(400, f"the {what} was not sent to its end") from None
        finally:
            self._left += taken
        if not content:
            raise HTTPException(400, f"there is no {what}: send it as the body, as it is")
        return bytes(content)
