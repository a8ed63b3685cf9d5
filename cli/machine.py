"""What a figure was measured with: versions, the machine, and the memory of this process."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

_PACKAGES = ("torch", "torchvision", "avalanche-lib", "faiss-cpu", "numpy", "pillow", "sqlalchemy")
_PEAK = "5"  # what Linux takes for "forget the peak of the resident memory"


def environment() -> dict[str, object]:
    """Return the versions and the machine behind a figure."""
    return {
        **{package: version(package) for package in _PACKAGES},
        "python": platform.python_version(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        **_accelerator(),
    }


def forget_peak_memory() -> None:
    """Start a new measurement of the peak, where the system can."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text(_PEAK)


def peak_memory_bytes() -> int | None:
    """Return the peak of the resident memory since :func:`forget_peak_memory`; None where it is not known."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    peak = next((line.split() for line in lines if line.startswith("VmHWM:")), None)
    return None if peak is None else int(peak[1]) * 1024


def _accelerator() -> dict[str, str]:
    import torch

    return {"gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else {}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    flags = next((line for line in lines if line.startswith("flags")), "")
    name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
    return f"{name} ({'amx_bf16' if 'amx_bf16' in flags else 'no amx_bf16'})"
