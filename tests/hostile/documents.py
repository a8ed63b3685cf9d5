"""Safetensors documents that no honest program writes."""

from __future__ import annotations

import json
import pickle
import struct

F32 = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


def document(header: object, data: bytes = bytes(8), declared: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if declared is None else declared) + text + data


BROKEN = {
    "empty": b"",
    "a length alone": bytes(8),
    "no json": document(b"{" * 50),
    "nested without end": document(b"[" * 200_000),
    "a list": document([1, 2]),
    "a header longer than the file": document({"a": F32}, declared=900_000),
    "a header of exabytes": document({"a": F32}, declared=2**63),
    "a header above the cap": document(b" " * (1_000_001)),
    "offsets that overlap": document({"a": F32, "b": F32}),
    "offsets with a gap": document({"a": F32, "b": {**F32, "data_offsets": [12, 20]}}, bytes(20)),
    "offsets backwards": document({"a": {**F32, "data_offsets": [8, 0]}}),
    "offsets beyond the end": document({"a": {**F32, "data_offsets": [0, 2**40], "shape": [2**38]}}),
    "a shape of another size": document({"a": {**F32, "shape": [3]}}),
    "a negative shape": document({"a": {**F32, "shape": [-2]}}),
    "a shape that overflows": document({"a": {**F32, "shape": [2**62, 2**62]}}),
    "bytes that belong to nobody": document({"a": F32}, bytes(4096)),
    "a type that is none": document({"a": {**F32, "dtype": "OBJECT"}}),
    "no offsets": document({"a": {"dtype": "F32", "shape": [2]}}),
    "a name that stands there twice": document(
        b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},'
        b'"a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}',
        bytes(16),
    ),
    "a shape of infinity": document(b'{"a":{"dtype":"F32","shape":[1e999],"data_offsets":[0,8]}}'),
    "an entry that is a number": document({"a": 1}),
    "a pickle": pickle.dumps({"a": [1.0]}),
    "a zip": b"PK\x03\x04" + bytes(60),
}
