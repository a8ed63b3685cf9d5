"""Documents of arrays: what was written comes back, and a hostile header is a typed error."""

from __future__ import annotations

import numpy as np
import pytest

from continual_dml.errors import CorruptIndex
from storage.tensor_files import parse_tensors, render_tensors, view_tensors
from storage.tensor_headers import read_arrays
from tests.hostile.documents import BROKEN, F32, document

TENSORS = {"ids": np.arange(5), "vectors": np.eye(3, dtype=np.float32), "none": np.empty((0, 4), np.float32)}


@pytest.mark.parametrize("read", [parse_tensors, view_tensors])
def test_what_was_written_comes_back(read):
    found = read(render_tensors(TENSORS), "here")
    assert found.keys() == TENSORS.keys()
    for name, array in TENSORS.items():
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?"])
def test_arrays_of_every_plain_type_can_be_viewed(dtype):
    array = np.arange(4).astype(dtype)
    viewed = view_tensors(render_tensors({"a": array}), "here")["a"]
    assert (viewed.dtype, viewed.tolist()) == (array.dtype, array.tolist())
    assert not viewed.flags.writeable


@pytest.mark.parametrize("read", [parse_tensors, view_tensors, read_arrays])
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_document_is_a_typed_error_in_one_line(read, name):
    with pytest.raises(CorruptIndex, match="here") as caught:
        read(BROKEN[name], "here")
    assert "\n" not in str(caught.value)


def test_an_empty_array_too_wide_for_this_machine_is_a_typed_error():
    giant = document({"a": {**F32, "shape": [0, 2**70], "data_offsets": [0, 0]}}, b"")
    with pytest.raises(CorruptIndex, match="here"):
        view_tensors(giant, "here")


def test_columns_of_integers_are_read_without_numpy():
    tensors = {**TENSORS, "wide": np.arange(6).reshape(3, 2), "double": np.ones((2, 3))}
    arrays = read_arrays(render_tensors(tensors), "here")
    assert arrays["ids"].integers() == [0, 1, 2, 3, 4]
    assert (arrays["vectors"].shape, arrays["vectors"].row_bytes) == ((3, 3), 12)
    assert (arrays["double"].dtype, arrays["double"].row_bytes) == ("F64", 24)
    for name in ("wide", "vectors"):
        with pytest.raises(ValueError, match="no column of integers"):
            arrays[name].integers()
