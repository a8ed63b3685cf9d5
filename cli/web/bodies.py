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

    async def read(self, request: Request) -> bytes:
        """Return the body of a request; no more than the cap is ever held.

        Raises:
            HTTPException: too large (413), too slow (408), empty (400), or too many at once (503).
        """
        declared = request.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > self.most_bytes:
            raise self._too_large()
        taken = 0
        content = bytearray()
        try:
            with anyio.fail_after(self._seconds):
                async for chunk in request.stream():
                    if len(content) + len(chunk) > self.most_bytes:
                        raise self._too_large()
                    if len(chunk) > self._left:
                        raise HTTPException(503, "too many images are being sent; try again in a moment")
                    taken += len(chunk)
                    self._left -= len(chunk)
                    content += chunk
        except TimeoutError:
            reason = f"the image did not arrive within {self._seconds:g} seconds"
            raise HTTPException(408, reason, CLOSING) from None
        except ClientDisconnect:
            raise HTTPException(400, "the image was not sent to its end") from None
        finally:
            self._left += taken
        if not content:
            raise HTTPException(400, "there is no image: send the bytes of an image file as the body")
        return bytes(content)

    def _too_large(self) -> HTTPException:
        reason = f"the image is larger than the limit of {self.most_bytes:,} bytes"
        return HTTPException(413, reason, CLOSING)
