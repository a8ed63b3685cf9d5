"""Reads a Parquet file of embedded images, some hundred rows at a time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from continual_dml.errors import SettingsError, StreamError
from continual_dml.interchange import CARD_KEY
from continual_dml.settings import StreamSettings
from streams.embedded_rows import (
    EMBEDDINGS,
    MOST_BYTES,
    NEEDED,
    OPTIONAL,
    EmbeddedRows,
    Texts,
    as_float32,
    card_from,
    require_columns,
    require_room,
)

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS_AT_ONCE = 512


def read_parquet(path: Path, limits: StreamSettings) -> EmbeddedRows:
    """Return all rows of a Parquet file.

    Raises:
        StreamError: it cannot be read, is too large, or has columns of other types.
        SettingsError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet
    except ImportError as error:
        raise SettingsError(
            "reading Parquet needs pyarrow, which is not installed: run `pip install 'cdml[export]'`"
        ) from error
    try:
        with pyarrow.parquet.ParquetFile(path, page_checksum_verification=True) as file:
            return _read(file, path, limits)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise StreamError(f"{path} cannot be read as Parquet: {reason}") from error


def _read(file: Any, path: Path, limits: StreamSettings) -> EmbeddedRows:  # noqa: ANN401 - a ParquetFile
    schema, count = file.schema_arrow, file.metadata.num_rows
    names = set(schema.names)
    require_columns(names, path)
    groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
    if sum(group.total_byte_size for group in groups) > 2 * MOST_BYTES:
        raise StreamError(f"{path} is more than 16 GiB when it is unpacked; split it")
    embedding = next((name for name in EMBEDDINGS if name in names), None)
    texts: Texts = {name: [] for name in (*NEEDED, *OPTIONAL) if name in names}
    numbers = ["feature"] if embedding is None else ["feature", embedding]
    for name in (*texts, *numbers):
        _require_type(schema.field(name), path, numeric=name in numbers)
    tables: dict[str, NDArray[np.float32]] = {}
    reached = 0
    for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE, columns=[*texts, *numbers]):
        for name, values in texts.items():
            values.extend(batch.column(name).to_pylist())
        for name in numbers:
            column = batch.column(name)
            if name not in tables:
                width = _width(column)
                require_room(count, width, limits, path)
                tables[name] = np.empty((count, width), dtype=np.float32)
            if not _fill(tables[name][reached : reached + len(column)], column):
                raise StreamError(f"{path}: the rows of column '{name}' are not equally long")
        reached += batch.num_rows
    if not tables or reached != count:
        raise StreamError(f"{path} has {reached:,} rows and says that it has {count:,}")
    card = card_from((schema.metadata or {}).get(CARD_KEY.encode()), path)
    return EmbeddedRows(texts, tables["feature"], None if embedding is None else tables[embedding], card)


def _require_type(field: pa.Field, path: Path, *, numeric: bool) -> None:
    from pyarrow import types

    found = field.type
    if numeric:
        is_list = types.is_list(found) or types.is_large_list(found) or types.is_fixed_size_list(found)
        if is_list and types.is_floating(found.value_type):
            return
        raise StreamError(f"{path}: column '{field.name}' is {found}, and has to be a list of float numbers")
    if types.is_dictionary(found):
        found = found.value_type
    if not (types.is_string(found) or types.is_large_string(found)):
        raise StreamError(f"{path}: column '{field.name}' is {field.type}, and has to be text")


def _lengths(column: pa.Array) -> NDArray[np.integer[Any]]:
    from pyarrow import compute

    lengths: NDArray[np.integer[Any]] = compute.list_value_length(column.drop_null()).to_numpy(
        zero_copy_only=False
    )
    return lengths


def _width(column: pa.Array) -> int:
    """Return how many numbers the first row has; 1 where none of the rows has any."""
    fixed, lengths = getattr(column.type, "list_size", None), _lengths(column)
    return int(fixed if fixed is not None else lengths[0] if len(lengths) else 1)


def _fill(rows: NDArray[np.float32], column: pa.Array) -> bool:
    """Copy lists into ``rows`` (n, F), null ones as not a number; says whether all others have F numbers."""
    width = rows.shape[1]
    if (_lengths(column) != width).any():
        return False
    valid = column.is_valid().to_numpy(zero_copy_only=False)
    rows[~valid] = np.nan
    rows[valid] = as_float32(column.flatten().to_numpy(zero_copy_only=False)).reshape(-1, width)
    return True
