"""Pretrained backbone weights: torchvision's own, with their hash checked, or a local file. Never pickle."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from continual_dml.embedding.backbones import build_backbone
from continual_dml.embedding.torchvision_guard import import_torchvision
from continual_dml.errors import SettingsError

# What a file of weights may hold; its header names each tensor in about a hundred bytes.
MAX_HEADER_BYTES = 1_000_000
_DTYPES = frozenset({torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64})

WAYS_OUT = (
    "give a file with `--weights FILE`, put it into the cache folder, "
    "or start from scratch with `--weights none`"
)


def load_backbone_weights(backbone: nn.Module, weights: Mapping[str, NDArray[Any]], name: str) -> None:
    """Copy pretrained ``weights`` into ``backbone`` in place; the classification layer's are left over.

    Raises:
        SettingsError: a weight of the backbone is missing, or has another shape.
    """
    target = backbone.state_dict()
    missing = [key for key in target if key not in weights and not key.endswith("num_batches_tracked")]
    if missing:
        raise SettingsError(
            f"the weights do not fit backbone '{name}': {len(missing)} of its tensors are missing, "
            f"first '{missing[0]}'; use weights made for torchvision's {name}"
        )
    for key, value in target.items():
        if key not in weights:
            continue
        shape = tuple(np.shape(weights[key]))
        if shape != value.shape:
            raise SettingsError(
                f"the weights do not fit backbone '{name}': '{key}' is {shape}, "
                f"needed {tuple(value.shape)}; use weights made for torchvision's {name}"
            )
        value.copy_(torch.from_numpy(np.array(weights[key])).to(value.dtype))


def read_weights_file(path: Path) -> dict[str, NDArray[Any]]:
    """Return the tensors of a ``.safetensors``, ``.pth`` or ``.pt`` file, floats as float32.

    Of the latter two only tensors and plain containers are taken; nothing that could run is ever unpickled.

    Raises:
        SettingsError: no such file, one that is not a plain mapping of names to tensors, or numbers that no
            network can start from.
    """
    if not path.is_file():
        raise SettingsError(f"no weights file at {path}: {WAYS_OUT}")
    try:
        tensors = _tensors_of(path)
        size = path.stat().st_size
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        if type(error).__name__ == "UnpicklingError":  # torch would advise to run what is in the file
            reason = "it holds more than tensors, or is none of these files"
        raise SettingsError(f"cannot read weights from {path}: {reason}; use a safetensors file") from error
    if not isinstance(tensors, Mapping) or not all(isinstance(v, torch.Tensor) for v in tensors.values()):
        raise SettingsError(f"{path} holds no plain mapping of names to tensors; export the state_dict alone")
    _check_numbers(tensors, size, path)
    return {
        str(name): (value.detach().float() if value.is_floating_point() else value).numpy()
        for name, value in tensors.items()
    }


def _tensors_of(path: Path) -> Any:  # noqa: ANN401 - whatever the file holds
    """Return what lies in a file of weights; raises almost anything on a damaged or hostile one."""
    if path.suffix != ".safetensors":
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                packed = [one for one in archive.infolist() if one.compress_type != zipfile.ZIP_STORED]
            if packed:  # a few megabytes could unpack to all of the memory; torch.save never packs
                raise ValueError("its parts are compressed")
        return torch.load(path, map_location="cpu", weights_only=True)
    from safetensors.torch import load_file

    with path.open("rb") as file:
        header_bytes = int.from_bytes(file.read(8), "little")
    if header_bytes > MAX_HEADER_BYTES:
        raise ValueError(f"its header has {header_bytes} bytes, {MAX_HEADER_BYTES} are allowed")
    return load_file(path)


def _check_numbers(tensors: Mapping[str, torch.Tensor], file_bytes: int, path: Path) -> None:
    """Raise a SettingsError unless all are plain finite numbers that the file has room for."""
    for name, value in tensors.items():
        if value.dtype not in _DTYPES or value.layout is not torch.strided or value.is_meta:
            raise SettingsError(
                f"cannot use weights from {path}: '{name}' is {value.dtype}, {value.layout}; "
                "export plain tensors of float16, bfloat16, float32, float64 or int64"
            )
    # A tensor may repeat one number of the file without end.
    if sum(value.numel() * value.element_size() for value in tensors.values()) > file_bytes:
        raise SettingsError(
            f"cannot use weights from {path}: its tensors are larger than the file; "
            "export the state_dict alone"
        )
    for name, value in tensors.items():
        if value.is_floating_point() and not bool(torch.isfinite(value.float()).all()):
            raise SettingsError(
                f"cannot use weights from {path}: '{name}' holds numbers that are not finite; "
                "use the file of a training that ended well"
            )


def weights_of_backbone(
    weights: Mapping[str, NDArray[Any]], backbone: str, side_pixels: int
) -> dict[str, NDArray[Any]]:
    """Return those of ``weights`` whose names the network ``backbone`` has, for images of ``side_pixels``.

    Raises:
        SettingsError: an impossible network.
    """
    network, _ = build_backbone(backbone, side_pixels)
    return {name: weights[name] for name in network.state_dict() if name in weights}


def imagenet_weights(backbone: str, *, download: bool) -> dict[str, NDArray[Any]]:
    """Return torchvision's ImageNet weights of ``backbone`` from the cache folder; download on request.

    The file's SHA-256 is compared with the digits that torchvision puts into its name, for cached files too.

    Raises:
        SettingsError: there are none, they are not cached and cannot be downloaded, or the hash differs.
    """
    path, url, digits = _cached_weights(backbone)
    if not path.is_file() and not download:
        raise SettingsError(
            f"ImageNet weights of '{backbone}' are not in the cache folder ({path}): "
            f"`cdml init --weights imagenet` downloads them unless --offline is given; or {WAYS_OUT}"
        )
    if not path.is_file():
        _download(url, path, digits, backbone)
    if digits and not sha256_of(path).startswith(digits):
        raise SettingsError(
            f"{path} is damaged: its SHA-256 does not begin with {digits}; delete it and try again"
        )
    return read_weights_file(path)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _cached_weights(backbone: str) -> tuple[Path, str, str]:
    url = _weights_url(backbone)
    file_name = url.rsplit("/", 1)[-1]
    digits = file_name.rsplit(".", 1)[0].rsplit("-", 1)[-1] if "-" in file_name else ""
    return Path(torch.hub.get_dir()) / "checkpoints" / file_name, url, digits


def _weights_url(backbone: str) -> str:
    try:
        return str(import_torchvision().models.get_model_weights(backbone).DEFAULT.url)
    except (ValueError, AttributeError) as error:
        raise SettingsError(f"torchvision has no ImageNet weights for '{backbone}': {WAYS_OUT}") from error


def _download(url: str, path: Path, digits: str, backbone: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, os.fspath(path), hash_prefix=digits or None, progress=False)
    except (OSError, RuntimeError) as error:
        raise SettingsError(
            f"cannot download the ImageNet weights of '{backbone}' to {path}: {error}; {WAYS_OUT}"
        ) from error
