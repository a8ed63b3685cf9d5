"""Reads annotation files of MATLAB through scipy, which is imported only here and only when needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from continual_dml.errors import StreamError


def read_matlab(path: Path, *names: str) -> tuple[Any, ...]:
    """Return the named variables of a .mat file, with axes of length one left out.

    Raises:
        StreamError: scipy is missing, or the file is missing, damaged or lacks a variable.
    """
    if not path.is_file():
        raise StreamError(f"there is no {path.name} in {path.parent}")
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise StreamError(f"{path} needs scipy, which is not installed") from error
    try:
        content = loadmat(str(path), squeeze_me=True)
    except Exception as error:  # on a damaged file the parser raises almost any type
        raise StreamError(f"{path} is not a readable MATLAB file: {error}") from error
    missing = [name for name in names if name not in content]
    if missing:
        raise StreamError(f"{path} has no variable '{missing[0]}'")
    return tuple(content[name] for name in names)
