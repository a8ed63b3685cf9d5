"""Documents of arrays: what was written comes back, and a hostile header is a typed error."""

from __future__ import annotations

import numpy as np
import pytest

from continual_dml.errors import CorruptIndex
from storage.tensor_files import parse_tensors, render_tensors, view_tensors
from tests.hostile.documents import BROKEN

TENSORS = {"ids": np.arange(5), "vectors": np.eye(3, dtype=np.float32), "none": np.empty((0, 4), np.float32)}


@pytest.mark.parametrize("read", [parse_tensors, view_tensors])
def test_what_was_written_comes_back(read):
    found = read(render_tensors(TENSORS), "here")
    assert found.keys() == TENSORS.keys()
    for name, array in TENSORS.items():
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("read", [parse_tensors, view_tensors])
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_document_is_a_typed_error_in_one_line(read, name):
    with pytest.raises(CorruptIndex, match="here") as caught:
        read(BROKEN[name], "here")
    assert "\n" not in str(caught.value)
