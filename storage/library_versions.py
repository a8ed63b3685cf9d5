"""What a generation is made with."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

_LIBRARIES = ("cdml", "torch", "torchvision", "numpy", "faiss-cpu", "sqlalchemy", "safetensors", "pillow")


def library_versions() -> dict[str, str]:
    """Return the version of each library, of those that are installed."""
    found = {name: _version_of(name) for name in _LIBRARIES}
    return {name: text for name, text in found.items() if text is not None}


def _version_of(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
