"""A file that exists only as the pieces written to it."""

from __future__ import annotations


class Pieces:
    """Takes what a library writes to a file, for somebody else to write to the disk; it cannot go back."""

    def __init__(self) -> None:
        self._written: list[bytes] = []
        self._size = 0
        self.closed = False

    def write(self, data: bytes) -> int:
        """Take ``data``."""
        self._written.append(bytes(data))
        self._size += len(data)
        return len(data)

    def tell(self) -> int:
        """Return how much was written so far."""
        return self._size

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Nothing will follow."""
        self.closed = True

    def taken(self) -> list[bytes]:
        """Return what was written since the last call."""
        pieces, self._written = self._written, []
        return pieces
