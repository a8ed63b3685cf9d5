"""What the system says of this process's memory."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

_PEAK = "5"  # what Linux takes for "forget the peak of the resident memory"


def forget_peak_memory() -> None:
    """Start a new measurement of the peak, where the system can."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text(_PEAK)


def peak_memory_bytes() -> int | None:
    """Return the peak of the resident memory since :func:`forget_peak_memory`; None where it is not known."""
    return _status("VmHWM:")


def resident_memory_bytes() -> int | None:
    """Return the memory that is resident now; None where it is not known."""
    return _status("VmRSS:")


def _status(name: str) -> int | None:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    found = next((line.split() for line in lines if line.startswith(name)), None)
    return None if found is None else int(found[1]) * 1024
