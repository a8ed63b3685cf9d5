"""Images that were embedded elsewhere, from a file: each row is judged as a file of a folder is."""

from __future__ import annotations

import os
import re
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from continual_dml.errors import EmptyTask, StreamError, UnreadableImage
from continual_dml.interchange import EmbeddedTask
from continual_dml.ports import ProgressListener
from continual_dml.records import ImageRecord, LoadedTask, QuarantinedFile, Role
from continual_dml.settings import StreamSettings
from streams.additions import is_category_name
from streams.embedded_rows import EmbeddedRows
from streams.folder_scan import is_text
from streams.image_reader import content_of
from streams.npz_rows import read_npz
from streams.parquet_rows import read_parquet
from streams.task_folder import require_text

_HASH = re.compile(r"[0-9a-f]{64}")
_MOST_CHARACTERS = 4096
_MOST_IN_16_BITS = 65504.0
_AT_ONCE = 1024
_READERS = {".parquet": read_parquet, ".npz": read_npz}


def load_embedded(
    path: Path,
    *,
    images: Path | None,
    name: str | None,
    settings: StreamSettings,
    listener: ProgressListener,
) -> EmbeddedTask:
    """Read a Parquet or ``.npz`` file of features, and look at the image files that are reachable.

    A row is left out, with a reason, where its path, category, hash or feature cannot be used; where its
    image has other content than it says; where nothing says what its content is; and where it has the
    content of an earlier row. Images need not be there if the file has their ``content_hash``. Without one,
    a file is only opened below ``images``, so that no row can name just any file of this machine.

    Args:
        path: the file; a link in the user's own words is followed.
        images: folder that relative paths start from; None for that of the file.
        name: of the addition, or None for the file's.
        settings: limits; ``max_files`` is that of rows.
        listener: told one unit per row.

    Raises:
        StreamError: the file cannot be read, is too large, or lacks a column.
        EmptyTask: no row can be used.
        SettingsError: the name is none, or pyarrow is missing.
    """
    require_text(name)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise StreamError(f"{path}: features are read from .parquet and .npz")
    if not path.is_file():
        raise StreamError(f"no such file: {path}; check the path")
    root = (path.absolute().parent if images is None else images).resolve()
    if not root.is_dir():
        raise StreamError(f"{root} is no folder; name the one that relative paths start from")
    rows = reader(path, settings)
    listener.start("looking at rows", len(rows.features))
    judged = _Judged(rows, str(root))
    for start in range(0, len(rows.features), _AT_ONCE):
        stop = min(start + _AT_ONCE, len(rows.features))
        judged.take(start, stop, settings)
        listener.advance(stop - start)
    if not judged.records:
        first = judged.problems[0]
        raise EmptyTask(f"no row of {path} can be used, first {first.path}: {first.reason}")
    kept = np.array(judged.kept, dtype=np.int64)
    return EmbeddedTask(
        LoadedTask(
            name=unicodedata.normalize("NFC", name or path.stem),
            source=str(path.absolute()),
            records=tuple(judged.records),
            pixels=np.empty((len(kept), 0, 0, 3), dtype=np.uint8),
            quarantined=tuple(judged.problems),
            twins=judged.twins,
        ),
        rows.features[kept],
        None if rows.embeddings is None else rows.embeddings[kept],
        rows.card,
    )


@dataclass(slots=True)
class _Judged:
    """What was judged so far: ``records[i]`` is row ``kept[i]`` of ``rows``."""

    rows: EmbeddedRows
    root: str
    records: list[ImageRecord] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)
    problems: list[QuarantinedFile] = field(default_factory=list)
    twins: int = 0
    _by_hash: dict[str, ImageRecord] = field(default_factory=dict)

    def take(self, start: int, stop: int, limits: StreamSettings) -> None:
        """Judge rows ``start`` to ``stop``; their images, where they are there, are read in threads."""
        reasons = {row: reason for row in range(start, stop) if (reason := self._unusable(row)) is not None}
        usable = [row for row in range(start, stop) if row not in reasons]
        with ThreadPoolExecutor(limits.decode_threads or os.cpu_count() or 1) as pool:
            contents = dict(
                zip(usable, pool.map(lambda row: self._content(row, limits), usable), strict=True)
            )
        for row in range(start, stop):
            content = contents.get(row, reasons.get(row, ""))
            if isinstance(content, str):
                self.problems.append(QuarantinedFile(_shown(self._text("path", row), row), content))
            else:
                self._keep(row, *content)

    def _unusable(self, row: int) -> str | None:
        """Return why a row cannot be used whatever its image is."""
        path, category = self._text("path", row), self._text("category", row)
        content_hash = self._text("content_hash", row)
        is_path = 0 < len(path) <= _MOST_CHARACTERS and "\x00" not in path and is_text(path)
        is_category = len(category) <= _MOST_CHARACTERS and is_category_name(category)
        problems = {
            "its path is none that a file can have": not is_path,
            "its category is none that a folder can be called": not is_category,
            "held out to ask with; only searched images can be imported": (
                self._text("role", row) not in ("", Role.GALLERY.value)
            ),
            "its feature was given by an earlier model": self._text("state", row) not in ("", "fresh"),
            "its content_hash is no SHA-256 in 64 small hexadecimal digits": bool(
                content_hash and not _HASH.fullmatch(content_hash)
            ),
        }
        return next((reason for reason, holds in problems.items() if holds), None) or self._off(row)

    def _off(self, row: int) -> str | None:
        """Return why the numbers of a row cannot be used."""
        feature, embeddings = self.rows.features[row], self.rows.embeddings
        if not np.isfinite(feature).all():
            return "its feature is missing or not finite"
        if np.abs(feature).max() > _MOST_IN_16_BITS:
            return "its feature has numbers beyond what 16 bits hold"
        if embeddings is not None and not np.isfinite(embeddings[row]).all():
            return "its embedding is missing or not finite"
        return None

    def _content(self, row: int, limits: StreamSettings) -> tuple[str, str, int] | str:
        """Return where an image is, its hash and its size, or why the row cannot be used."""
        said = self._text("content_hash", row)
        path = os.path.normpath(os.path.join(self.root, self._text("path", row)))  # noqa: PTH118 - as text
        inside = path.startswith(self.root.rstrip("/") + "/")
        if not said and not inside:
            return f"outside {self.root}, and no content_hash says what it is"
        if not said and os.path.realpath(path) != path:
            return "symbolic link, not followed"
        try:
            found, size = content_of(path, limits)
        except UnreadableImage as error:
            return (path, said, 0) if said else f"{error.reason}, and no content_hash says what it was"
        if said and found != said:
            return "its content is not what content_hash says"
        return path, found, size

    def _keep(self, row: int, path: str, content_hash: str, size: int) -> None:
        category = unicodedata.normalize("NFC", self._text("category", row))
        twin = self._by_hash.get(content_hash)
        if twin is not None:
            other = "" if twin.category == category else f" in category {twin.category}"
            self.problems.append(QuarantinedFile(path, f"same content as {twin.path}{other}"))
            self.twins += 1
            return
        record = ImageRecord(path, content_hash, category, Role.GALLERY, size)
        self.records.append(record)
        self.kept.append(row)
        self._by_hash[content_hash] = record

    def _text(self, column: str, row: int) -> str:
        values = self.rows.texts.get(column)
        return "" if values is None else values[row] or ""


def _shown(path: str, row: int) -> str:
    """Return how a row is called in lists, whatever it says its path is."""
    shown = path[:_MOST_CHARACTERS].replace("\x00", "\\0").encode("utf-8", "backslashreplace").decode("utf-8")
    return shown or f"row {row}"
