"""The gallery as one Parquet file, written piece by piece."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from continual_dml.interchange import CARD_KEY, TEXT_COLUMNS, ModelCard, preparation
from storage.exports.destinations import from_extra
from storage.exports.gallery_rows import GalleryRows, text_columns
from storage.exports.pieces import Pieces

if TYPE_CHECKING:
    import pyarrow as pa


def require_parquet() -> None:
    """Find out before any work that Parquet cannot be written.

    Raises:
        SettingsError: pyarrow is missing.
    """
    from_extra(_import_pyarrow, "export", "writing Parquet")


def _import_pyarrow() -> None:
    import pyarrow.parquet  # noqa: F401


def parquet_pieces(rows: Iterable[GalleryRows], card: ModelCard, *, with_features: bool) -> Iterator[bytes]:
    """Yield the bytes of a Parquet file, one row group for each of ``rows``.

    Args:
        rows: the items.
        card: whose vectors they are.
        with_features: whether there is a column ``feature``; null where an earlier model gave it.
    """
    import pyarrow.parquet

    schema, sink = _schema(card, with_features=with_features), Pieces()
    with pyarrow.parquet.ParquetWriter(sink, schema, compression="zstd") as writer:
        for some in rows:
            writer.write_batch(_batch(some, schema, card, with_features=with_features))
            yield from sink.taken()
    yield from sink.taken()


def _schema(card: ModelCard, *, with_features: bool) -> pa.Schema:
    import pyarrow as pa

    fields = [pa.field("id", pa.int64(), nullable=False)]
    fields += [pa.field(name, pa.string(), nullable=False) for name in TEXT_COLUMNS]
    fields.append(pa.field("birth_generation", pa.int64(), nullable=False))
    fields.append(pa.field("vector", pa.list_(pa.float32(), card.embedding_dimension), nullable=False))
    if with_features:
        fields.append(pa.field("feature", pa.list_(pa.float32(), card.feature_dimension)))
    described = {CARD_KEY: card.as_text(), "preprocessing": json.dumps(preparation(card), sort_keys=True)}
    return pa.schema(fields, metadata=described)


def _batch(rows: GalleryRows, schema: pa.Schema, card: ModelCard, *, with_features: bool) -> pa.RecordBatch:
    import pyarrow as pa

    texts = text_columns(rows)
    columns: list[Any] = [pa.array(rows.ids)]
    columns += [pa.array(texts[name], type=pa.string()) for name in TEXT_COLUMNS]
    columns.append(pa.array(np.full(len(rows.rows), rows.birth_generation, dtype=np.int64)))
    columns.append(_fixed_lists(rows.vectors))
    if with_features:
        features = rows.features
        nothing = pa.nulls(len(rows.rows), pa.list_(pa.float32(), card.feature_dimension))
        columns.append(nothing if features is None else _fixed_lists(features))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _fixed_lists(matrix: NDArray[np.float32]) -> pa.FixedSizeListArray:
    import pyarrow as pa

    flat = np.ascontiguousarray(matrix).reshape(-1)
    return pa.FixedSizeListArray.from_arrays(pa.array(flat), matrix.shape[1])
