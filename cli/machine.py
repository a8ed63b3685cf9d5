"""What a figure was measured with: versions and the machine."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

_PACKAGES = ("torch", "torchvision", "avalanche-lib", "faiss-cpu", "numpy", "pillow", "sqlalchemy")


def environment() -> dict[str, object]:
    """Return the versions and the machine behind a figure."""
    return {
        **{package: version(package) for package in _PACKAGES},
        "python": platform.python_version(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        **_accelerator(),
    }


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
