"""Where an export goes: a new file, there as a whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from continual_dml.errors import SettingsError
from storage import durable
from storage.durable import FileEntry

_Module = TypeVar("_Module")
KINDS = {
    ".onnx": "the model, for ONNX runtimes",
    ".pt2": "the model, for PyTorch",
    ".parquet": "the gallery, for data tools",
    ".npz": "the gallery, for NumPy",
}


def kind_of(path: Path) -> str:
    """Return the suffix that decides what is written.

    Raises:
        SettingsError: another suffix, no such folder, or the file is there already.
    """
    suffix = path.suffix.lower()
    if suffix not in KINDS:
        kinds = ", ".join(f"{name} ({what})" for name, what in KINDS.items())
        raise SettingsError(f"{path}: the end of the name says what is exported; end it in one of {kinds}")
    if not path.absolute().parent.is_dir():
        raise SettingsError(f"{path}: there is no folder {path.parent}; make it first")
    if path.exists() or path.is_symlink():
        raise SettingsError(f"{path} exists: nothing was written; remove it, or give another name")
    return suffix


def write_new(path: Path, content: bytes | Iterable[bytes]) -> FileEntry:
    """Write ``content``, whole or in pieces, under a name that it gets once all of it is on the disk.

    Raises:
        WorkspaceError: the system cannot write it; nothing is left.
    """
    beside = durable.beside_of(path)
    durable.remove_file(beside)
    try:
        entry = durable.write_file(beside, content)
        durable.rename(beside, path)
    except BaseException:  # an interrupt must clean up as well
        durable.remove_file(beside)
        raise
    durable.fsync_directory(path.absolute().parent)
    return entry


def from_extra(load: Callable[[], _Module], extra: str, purpose: str) -> _Module:
    """Return what ``load`` imports from an optional extra.

    Raises:
        SettingsError: it is not installed.
    """
    try:
        return load()
    except ImportError as error:
        raise SettingsError(
            f"{purpose} needs {error.name or 'a package'}, which is not installed: "
            f"run `pip install 'cdml[{extra}]'`"
        ) from error
