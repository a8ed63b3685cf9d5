"""Weights of the networks that rows give to every arm, as arrays by torchvision's names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.photos import shared_file

FILE = "weights.npz"


def write_weights(folder: Path, network: str) -> None:
    """Write pretrained weights of MobileNetV2, or random ones of another network, into ``folder``."""
    import numpy as np
    import torch

    from continual_dml.embedding.torchvision_guard import import_torchvision
    from continual_dml.embedding.weights import read_weights_file

    if network == "mobilenet_v2":
        weights = read_weights_file(shared_file("weights/mobilenet_v2-imagenet1k.safetensors"))
    else:
        torch.manual_seed(0)
        model = import_torchvision().models.get_model(network, weights=None)
        weights = {name: value.numpy() for name, value in model.state_dict().items()}
    arrays: dict[str, Any] = dict(weights)
    np.savez(folder / FILE, **arrays)


def read_weights(folder: Path) -> dict[str, Any]:
    """Return the weights that :func:`write_weights` has written."""
    import numpy as np

    with np.load(folder / FILE) as found:
        return {name: found[name] for name in found.files}


def our_embedder(folder: Path, network: str, side: int) -> Any:  # noqa: ANN401
    """Return the network as a workspace has it: channels last, batch norm folded into the convolutions."""
    from continual_dml.embedding.embedder import build_embedder
    from continual_dml.settings import ModelSettings

    settings = ModelSettings(backbone=network, image_side_pixels=side, feature_map="plain")
    return build_embedder(settings, read_weights(folder), seed=0).eval()


def peer_network(folder: Path, network: str) -> Any:  # noqa: ANN401
    """Return torchvision's network without its classifier, as users make it a feature extractor."""
    import torch
    from torch import nn

    from continual_dml.embedding.torchvision_guard import import_torchvision

    model = import_torchvision().models.get_model(network, weights=None)
    weights = {name: torch.from_numpy(value) for name, value in read_weights(folder).items()}
    known = model.state_dict()
    model.load_state_dict({name: weights.get(name, value) for name, value in known.items()})
    setattr(model, "fc" if hasattr(model, "fc") else "classifier", nn.Identity())
    return model.eval()
