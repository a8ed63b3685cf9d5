"""The optimiser of a task and how its rates change over the steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import nn

from continual_dml.embedding.embedder import Embedder
from continual_dml.settings import TrainingSettings

WARM_UP_SHARE = 0.1


def make_optimiser(
    networks: Sequence[Embedder], losses: Sequence[nn.Module], settings: TrainingSettings
) -> torch.optim.Optimizer:
    """Return AdamW over all networks, and over the losses that have weights of their own.

    Backbones, projections and each such loss have rates of their own; a loss names its rate as
    ``learning_rate`` and is not decayed.
    """
    groups = []
    for network in networks:
        backbone = [p for p in network.backbone.parameters() if p.requires_grad]
        rate = settings.backbone_rate(pretrained=network.settings.pretrained)
        groups.append({"params": backbone, "lr": rate})
        groups.append({"params": list(network.projection.parameters()), "lr": settings.head_learning_rate})
    for loss in losses:
        weights = list(loss.parameters())
        if weights:
            rate = cast("float", loss.learning_rate)
            groups.append({"params": weights, "lr": rate, "weight_decay": 0.0})
    # On a CPU one pass over the weights takes a third of the time of torch's default there.
    on_cpu = all(network.projection.weight.device.type == "cpu" for network in networks)
    return torch.optim.AdamW(groups, weight_decay=settings.weight_decay, fused=on_cpu or None)


def make_schedule(optimiser: torch.optim.Optimizer, steps: int) -> torch.optim.lr_scheduler.LambdaLR:
    """Return a linear warm-up over a tenth of the steps, then half a cosine down to zero."""
    warm_up = max(1, round(WARM_UP_SHARE * steps))

    def share(step: int) -> float:
        if step < warm_up:
            return (step + 1) / warm_up
        return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))

    return torch.optim.lr_scheduler.LambdaLR(optimiser, share)
