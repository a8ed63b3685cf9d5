"""All-triplets loss of one batch, forward and backward, against pytorch-metric-learning."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.side_by_side.answers import close_together
from benchmarks.side_by_side.rows import Arm, Row, Sizes, Target, Work

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

MARGIN = 0.1


def ours(folder: Path, sizes: Sizes) -> Work:
    """Our loss with the miner that takes all triplets."""
    del folder
    from continual_dml.losses.triplet import TripletLoss
    from continual_dml.miners.all_triplets import all_triplets

    return _work(TripletLoss(all_triplets, MARGIN, only_violated=True), sizes)


def pytorch_metric_learning(folder: Path, sizes: Sizes) -> Work:
    """The peer's loss; all triplets and the mean over those that cost something are its defaults."""
    del folder
    from pytorch_metric_learning import distances, losses

    return _work(losses.TripletMarginLoss(margin=MARGIN, distance=distances.CosineSimilarity()), sizes)


def _work(loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], sizes: Sizes) -> Work:
    import torch
    from torch.nn import functional

    torch.manual_seed(0)
    batch, classes = sizes["batch"], sizes["classes"]
    labels = torch.arange(batch) % classes
    outputs = torch.randn(batch, sizes["dimension"]) + 0.7 * torch.randn(classes, sizes["dimension"])[labels]

    def run() -> dict[str, torch.Tensor]:
        leaf = outputs.clone().requires_grad_()
        cost = loss(functional.normalize(leaf), labels)
        (gradient,) = torch.autograd.grad(cost, leaf)
        return {"loss": cost.detach(), "gradient": gradient}

    return Work(run)


ROWS = (
    Row(
        name="triplet_loss",
        title="all-triplets loss, forward and backward",
        arms=(
            Arm("ours", f"{__name__}:ours"),
            Arm("pytorch-metric-learning", f"{__name__}:pytorch_metric_learning", peer=True),
        ),
        targets=(Target(against="pytorch-metric-learning", at_least=2.5),),
        same=close_together(1e-4),
        sizes={"batch": 256, "dimension": 128, "classes": 64},
    ),
)
