"""Amounts in words for people: shares, seconds, bytes, counted things."""

from __future__ import annotations

UNKNOWN = "-"


def share(value: float | None) -> str:
    """Return a metric between -1 and 1 with three decimals.

    >>> share(0.78349), share(None)
    ('0.783', '-')
    """
    return UNKNOWN if value is None else f"{value:.3f}"


def seconds(value: float) -> str:
    """Return a duration.

    >>> seconds(7.26), seconds(150), seconds(7300)
    ('7.3 s', '2 min 30 s', '2 h 1 min')
    """
    if value < 60:
        return f"{value:.1f} s"
    if value < 3600:
        return f"{int(value) // 60} min {int(value) % 60} s"
    return f"{int(value) // 3600} h {int(value) % 3600 // 60} min"


def size(count: int) -> str:
    """Return a number of bytes.

    >>> size(512), size(3_500_000)
    ('512 B', '3.3 MiB')
    """
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


def counted(count: int, singular: str, plural: str) -> str:
    """Return a number and its noun.

    >>> counted(1, "image", "images"), counted(0, "image", "images")
    ('1 image', '0 images')
    """
    return f"{count:,} {singular if count == 1 else plural}"
