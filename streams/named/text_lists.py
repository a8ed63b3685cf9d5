"""Reads the lists that come with data sets. Every line is data: a path may not leave the data folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from continual_dml.errors import StreamError

_MOST_BYTES = 256 * 2**20


def folder_with(root: Path, marker: str, inner: tuple[str, ...] = ()) -> Path:
    """Return ``root`` or one of its ``inner`` folders: the first that holds ``marker``.

    Raises:
        StreamError: none of them does.
    """
    for name in ("", *inner):
        if (root / name / marker).exists():
            return root / name
    raise StreamError(f"there is no {marker} in {root}")


def rows(path: Path, columns: int, *, separator: str | None = None, skip: int = 0) -> Iterator[list[str]]:
    """Yield the fields of each line that is not empty.

    Args:
        path: of a UTF-8 text file.
        columns: fewest fields of a line.
        separator: between fields; None for white space.
        skip: lines before the first row.

    Raises:
        StreamError: the file cannot be read, or a line has fewer fields.
    """
    for number, line in enumerate(_lines(path)[skip:], start=skip + 1):
        if line.strip():
            fields = [field.strip() for field in line.split(separator)]
            if len(fields) < columns:
                raise StreamError(f"{path}, line {number}: {len(fields)} fields instead of {columns}")
            yield fields


def whole_number(text: str, path: Path) -> int:
    """Return the number that ``text`` is; ``path`` is the list it stands in.

    Raises:
        StreamError: it is no whole number.
    """
    try:
        return int(text)
    except ValueError:
        raise StreamError(f"{path}: '{text[:40]}' is not a whole number") from None


def inside(folder: Path, listed: str) -> str:
    """Return the path of a ``listed`` file in ``folder``.

    Raises:
        StreamError: the path would leave the folder.
    """
    relative = PurePosixPath(listed.replace("\\", "/"))
    if relative.is_absolute() or ".." in relative.parts or not relative.parts:
        raise StreamError(f"the list names '{listed[:80]}', which is not a path inside {folder}")
    return str(folder / relative)


def _lines(path: Path) -> list[str]:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise StreamError(f"{path} is larger than {_MOST_BYTES:,} bytes, too large for a list")
        return path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise StreamError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise StreamError(f"{path} is not UTF-8 text") from error
