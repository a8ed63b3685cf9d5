"""The gallery as one ``.npz`` file of plain arrays, which NumPy opens without being told to trust it."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from continual_dml.interchange import CARD_KEY, TEXT_COLUMNS, ModelCard
from storage.exports.gallery_rows import GalleryRows, text_columns
from storage.exports.pieces import Pieces

_INTO_THE_PIECES: Literal["w"] = "w"
"""The mode of a member of an archive that is itself nothing but pieces in memory; no file is opened."""
_Column = Iterable[NDArray[Any]]


@dataclass(slots=True, eq=False)
class _Texts:
    """One column of texts, as bytes while the file is made: NumPy's own texts take four times as much."""

    blocks: list[NDArray[np.bytes_]]
    width: int = 1

    def take(self, texts: list[str]) -> None:
        self.blocks.append(np.array([text.encode("utf-8") + b"." for text in texts], dtype=np.bytes_))
        self.width = max(self.width, *(len(text) for text in texts))

    def column(self) -> Iterator[NDArray[np.str_]]:
        for block in self.blocks:
            # The full stop at the end keeps NumPy from cutting off what it takes for padding.
            yield np.array([text[:-1].decode("utf-8") for text in block.tolist()], dtype=f"<U{self.width}")


def npz_pieces(
    rows: Callable[[], Iterable[GalleryRows]], card: ModelCard, *, with_features: bool
) -> Iterator[bytes]:
    """Yield the bytes of an ``.npz`` file; one array after the other, so that ``rows`` is called for each.

    Texts of all items are in memory meanwhile, vectors and features are not.

    Args:
        rows: gives the items, always the same.
        card: whose vectors they are.
        with_features: whether there is an array ``feature``; not a number where an earlier model gave it.
    """
    texts, ids, births = {name: _Texts([]) for name in TEXT_COLUMNS}, [], []
    for some in rows():
        ids.append(some.ids)
        births.append(np.full(len(some.rows), some.birth_generation, dtype=np.int64))
        for name, column in text_columns(some).items():
            texts[name].take(column)
    count = sum(map(len, ids))
    sink = Pieces()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        described = np.array(card.as_text())
        yield from _member(archive, sink, CARD_KEY, described.dtype, (), [described])
        yield from _member(archive, sink, "id", np.dtype("<i8"), (count,), ids)
        for name, held in texts.items():
            yield from _member(archive, sink, name, np.dtype(f"<U{held.width}"), (count,), held.column())
        yield from _member(archive, sink, "birth_generation", np.dtype("<i8"), (count,), births)
        numbers = np.dtype("<f4")
        vectors = (some.vectors for some in rows())
        yield from _member(archive, sink, "vector", numbers, (count, card.embedding_dimension), vectors)
        if with_features:
            features = (_features(some, card.feature_dimension) for some in rows())
            yield from _member(archive, sink, "feature", numbers, (count, card.feature_dimension), features)
    yield from sink.taken()


def _features(rows: GalleryRows, dimension: int) -> NDArray[np.float32]:
    found = rows.features
    return np.full((len(rows.rows), dimension), np.nan, dtype=np.float32) if found is None else found


def _member(
    archive: zipfile.ZipFile,
    sink: Pieces,
    name: str,
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    blocks: _Column,
) -> Iterator[bytes]:
    """Write one array into ``archive``, block by block, and yield what came out of it."""
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    entry = zipfile.ZipInfo(f"{name}.npy")  # with the time of its own that it has: equal content, equal file
    with archive.open(entry, _INTO_THE_PIECES, force_zip64=True) as member:
        np.lib.format.write_array_header_1_0(member, header)
        for block in blocks:
            member.write(np.ascontiguousarray(block, dtype=dtype).tobytes())
            yield from sink.taken()
