"""JSON documents as generations keep them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping


def render_json(document: object) -> bytes:
    """Return a document in UTF-8, on one line; numbers that are not finite become null.

    Line breaks would take the encoder that is written in Python: matrices of fifty tasks take it long.
    """
    try:
        text = json.dumps(document, ensure_ascii=False, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(document), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8")


def _finite(document: object) -> object:
    if isinstance(document, float) and not math.isfinite(document):
        return None
    if isinstance(document, Mapping):
        return {key: _finite(value) for key, value in document.items()}
    if isinstance(document, (list, tuple)):
        return [_finite(value) for value in document]
    return document
