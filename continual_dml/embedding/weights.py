"""Pretrained backbone weights: torchvision's own, with their hash checked, or a local file. Never pickle."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from continual_dml.embedding.torchvision_guard import import_torchvision
from continual_dml.errors import SettingsError

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
        given = torch.from_numpy(np.array(weights[key]))
        if given.shape != value.shape:
            raise SettingsError(
                f"the weights do not fit backbone '{name}': '{key}' is {tuple(given.shape)}, "
                f"needed {tuple(value.shape)}; use weights made for torchvision's {name}"
            )
        value.copy_(given.to(value.dtype))


def read_weights_file(path: Path) -> dict[str, NDArray[Any]]:
    """Return the tensors of a ``.safetensors``, ``.pth`` or ``.pt`` file, floats as float32.

    Raises:
        SettingsError: no such file, or one that is not a plain mapping of names to tensors.
    """
    if not path.is_file():
        raise SettingsError(f"no weights file at {path}: {WAYS_OUT}")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            tensors: Any = load_file(path)
        else:
            tensors = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise SettingsError(f"cannot read weights from {path}: {reason}; use a safetensors file") from error
    if not isinstance(tensors, Mapping) or not all(isinstance(v, torch.Tensor) for v in tensors.values()):
        raise SettingsError(f"{path} holds no plain mapping of names to tensors; export the state_dict alone")
    return {
        str(name): (value.float() if value.is_floating_point() else value).numpy()
        for name, value in tensors.items()
    }


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
            f"`cdml init --weights imagenet` downloads them; or {WAYS_OUT}"
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
