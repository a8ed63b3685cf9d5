"""One door to torchvision, which keeps working beside a CPU-only torch.

Published torchvision wheels are built for CUDA. With a CPU-only torch their C++ library does not load, and
``import torchvision`` fails because it registers fake kernels for operators that were never defined. Models
and transforms need none of these operators, so declaring their signatures is enough.

One function of torchvision's asks torch's compiler whether it can compile, and imports the compiler for that:
a third of the time that a query without a server takes. It is imported here when it is asked instead.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import torch

_COMPILER = "torch._dynamo"
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
    with _compiler_not_loaded():
        return importlib.import_module("torchvision")


@contextmanager
def _compiler_not_loaded() -> Iterator[None]:
    """Let a block import ``torch._dynamo.utils.is_compile_supported`` without loading torch's compiler."""
    if _COMPILER in sys.modules or "torchvision" in sys.modules:
        yield
        return
    package, utils = ModuleType(_COMPILER), ModuleType(f"{_COMPILER}.utils")
    package.__path__ = []
    vars(utils)["is_compile_supported"] = _is_compile_supported
    placeholders = {module.__name__: module for module in (package, utils)}
    sys.modules.update(placeholders)
    try:
        yield
    finally:
        for name, module in placeholders.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


def _is_compile_supported(device_type: str) -> bool:
    """Ask the compiler itself, which is loaded for that."""
    utils = importlib.import_module(f"{_COMPILER}.utils")
    return bool(utils.is_compile_supported(device_type))


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
