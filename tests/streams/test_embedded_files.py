"""Files of features from elsewhere are untrusted: whatever they hold, the answer is rows or one line."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from continual_dml.errors import StreamError
from continual_dml.ports import SilentListener
from continual_dml.settings import StreamSettings
from streams.embedded_images import load_embedded
from streams.npz_rows import read_npz
from streams.parquet_rows import read_parquet

LIMITS = StreamSettings()
FEATURES = np.arange(12, dtype=np.float32).reshape(3, 4)
TEXTS = {"path": ["a.png", "b.png", "c.png"], "category": ["x", "y", "x"]}


def parquet(path: Path, feature: pa.Array, texts: dict[str, object] = TEXTS) -> Path:
    pyarrow.parquet.write_table(pa.table({**texts, "feature": feature}), path)
    return path


def npz(path: Path, **arrays: np.ndarray) -> Path:
    texts = {name: np.array(values) for name, values in TEXTS.items()}
    np.savez(path, **{**texts, "feature": FEATURES, **arrays})
    return path


@pytest.mark.parametrize("kind", [pa.float16(), pa.float32(), pa.float64()], ids=str)
@pytest.mark.parametrize("fixed", [True, False], ids=["fixed", "free"])
def test_lists_of_any_float_are_features_and_a_null_is_none(tmp_path, kind, fixed):
    rows = [
        FEATURES[0].astype(np.float16 if kind == pa.float16() else np.float32).tolist(),
        None,
        [1, 2, 3, 4],
    ]
    if kind == pa.float16():
        rows = [None if row is None else [np.float16(one) for one in row] for row in rows]
    array = pa.array(rows, type=pa.list_(kind, 4) if fixed else pa.list_(kind))
    found = read_parquet(parquet(tmp_path / "rows.parquet", array), LIMITS)
    assert found.features.dtype == np.float32
    assert found.features[[0, 2]].tolist() == [[0, 1, 2, 3], [1, 2, 3, 4]]
    assert np.isnan(found.features[1]).all()
    assert found.texts["category"] == ["x", "y", "x"]
    assert found.card is None


def test_texts_may_be_dictionaries_or_null(tmp_path):
    texts = {"path": pa.array(["a", None, "c"]), "category": pa.array(["x", "x", "x"]).dictionary_encode()}
    found = read_parquet(parquet(tmp_path / "rows.parquet", pa.array(FEATURES.tolist()), texts), LIMITS)
    assert found.texts == {"path": ["a", None, "c"], "category": ["x", "x", "x"]}


@pytest.mark.parametrize(
    ("feature", "said"),
    [
        (pa.array([[1.0], [1.0, 2.0], [3.0]]), "not equally long"),
        (pa.array([[1], [2], [3]]), "has to be a list of float numbers"),
        (pa.array([1.0, 2.0, 3.0]), "has to be a list of float numbers"),
        (pa.array(["a", "b", "c"]), "has to be a list of float numbers"),
        (pa.array([[], [], []], type=pa.list_(pa.float32())), "are no features"),
    ],
)
def test_a_column_of_another_type_is_one_line(tmp_path, feature, said):
    with pytest.raises(StreamError, match=said):
        read_parquet(parquet(tmp_path / "rows.parquet", feature), LIMITS)


def test_text_that_is_no_text_is_one_line(tmp_path):
    texts = {**TEXTS, "path": [1, 2, 3]}
    with pytest.raises(StreamError, match="has to be text"):
        read_parquet(parquet(tmp_path / "rows.parquet", pa.array(FEATURES.tolist()), texts), LIMITS)


@pytest.mark.parametrize("read", [read_parquet, read_npz])
def test_more_rows_than_the_limit_are_one_line(tmp_path, read):
    is_npz = read is read_npz
    file = npz(tmp_path / "r.npz") if is_npz else parquet(tmp_path / "r.parquet", pa.array(FEATURES.tolist()))
    with pytest.raises(StreamError, match="more than max_files = 2"):
        read(file, StreamSettings(max_files=2))


def header_of(shape: tuple[int, ...], descr: str = "<f4") -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": descr, "fortran_order": False, "shape": shape})
    return stream.getvalue()


def with_member(path: Path, name: str, content: bytes) -> Path:
    npz(path)
    with zipfile.ZipFile(path) as archive:
        members = {one: archive.read(one) for one in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for one, data in {**members, name: content}.items():
            archive.writestr(one, data)
    return path


@pytest.mark.parametrize(
    "content",
    [
        header_of((2**40, 2**20)),
        header_of((3, 2**62)),
        header_of((-3, 4)) + bytes(48),
        header_of((3, 4)) + bytes(47),
        header_of((3,), "|O") + b"cos\nsystem\n(S'true'\ntR.",
        b"\x93NUMPY\x09\x00",
        b"",
    ],
    ids=["huge", "overflowing", "negative", "short", "objects", "unknown version", "empty"],
)
def test_an_array_that_lies_about_itself_is_one_line_and_nothing_is_allocated_for_it(tmp_path, content):
    with pytest.raises(StreamError):
        read_npz(with_member(tmp_path / "rows.npz", "feature.npy", content), LIMITS)


def test_columns_first_and_rows_first_are_the_same_array(tmp_path):
    found = read_npz(
        npz(tmp_path / "rows.npz", feature=np.asfortranarray(FEATURES.astype(np.float64))), LIMITS
    )
    assert found.features.tolist() == FEATURES.tolist()


@given(st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_bytes_change_the_answer_is_rows_or_one_line(tmp_path, data):
    kind = data.draw(st.sampled_from(["npz", "parquet"]))
    file = tmp_path / f"rows.{kind}"
    if kind == "npz":
        npz(file)
    else:
        parquet(file, pa.array(FEATURES.tolist()))
    content = bytearray(file.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    file.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        found = load_embedded(file, images=None, name=None, settings=LIMITS, listener=SilentListener())
    except StreamError as error:
        assert "\n" not in str(error)
    else:
        assert len(found.features) == len(found.task.records)
