"""One door to torchvision, which keeps working beside a CPU-only torch.

Published torchvision wheels are built for CUDA. With a CPU-only torch their C++ library does not load, and
``import torchvision`` fails because it registers fake kernels for operators that were never defined. Models
and transforms need none of these operators, so declaring their signatures is enough.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
from pathlib import Path
from types import ModuleType

import torch

_declared: list[torch.library.Library] = []  # a Library must stay referenced, else its operators vanish


def import_torchvision() -> ModuleType:
    """Return the torchvision module, with a guard for builds whose C++ operators cannot be loaded."""
    if not _declared and not _operators_load():
        library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
        for name in ("nms", "qnms"):
            library.define(  # type: ignore[no-untyped-call]
                f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            )
        _declared.append(library)
    return importlib.import_module("torchvision")


def _operators_load() -> bool:
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return True  # let the import itself say what is wrong
    libraries = sorted(Path(spec.origin).parent.glob("_C*.so"))
    if not libraries:
        return False
    try:
        ctypes.CDLL(str(libraries[0]))
    except OSError:
        return False
    return True
