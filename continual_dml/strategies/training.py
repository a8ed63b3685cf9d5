"""The optimisation loop of one task, the same for every method."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from continual_dml.embedding.embedder import Embedder
from continual_dml.embedding.precision import Compute
from continual_dml.embedding.preprocessing import training_views
from continual_dml.errors import NotFiniteLoss
from continual_dml.losses import make_loss
from continual_dml.ports import ProgressListener
from continual_dml.records import LabelledImages
from continual_dml.settings import TrainingSettings
from continual_dml.strategies.objective import Batch, objective
from continual_dml.strategies.recipes import Recipe
from continual_dml.strategies.sampling import balanced_batches, default_steps

WARM_UP_SHARE = 0.1
PROXY_RATE = 1e-2  # proxies start at random and have to arrive within one task


class StepHooks:
    """Called around every optimisation step; the seam for plugins of other training frameworks.

    Every method does nothing here: a subclass overrides those it needs.
    """

    def before_training(self, job: TrainingJob, optimiser: torch.optim.Optimizer, loss: nn.Module) -> None:
        """The optimiser is made and no step is taken yet; ``loss`` is the metric loss of ``job.model``."""

    def before_forward(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        """A batch (B, 3, S, S) with labels (B,) is about to go through the model."""

    def after_forward(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Return the embeddings (B, D) to compute the loss of, usually ``embeddings`` themselves."""
        return embeddings

    def before_backward(self, loss: torch.Tensor) -> torch.Tensor:
        """Return the scalar to minimise, usually ``loss`` itself, the sum of all terms."""
        return loss

    def before_update(self) -> None:
        """Gradients are there, weights are not changed yet."""

    def after_update(self) -> bool:
        """Weights are changed; return whether to go on with the task."""
        return True


@dataclass(frozen=True, slots=True, eq=False)
class Teachers:
    """Embeddings of the task's images by earlier models, computed once before training.

    ``old`` (N, D) by the previous model; ``virtual`` one (N, D) per generation before that. Unit length.
    """

    old: NDArray[np.float32] | None = None
    virtual: tuple[NDArray[np.float32], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class TrainingJob:
    """What is to be trained on what."""

    name: str
    model: Embedder
    specialist: Embedder | None
    images: LabelledImages
    teachers: Teachers
    recipe: Recipe
    settings: TrainingSettings
    seed: int

    def steps(self) -> int:
        """Number of optimisation steps."""
        if self.settings.steps is not None:
            return self.settings.steps
        classes = min(self.settings.batch_categories, len(np.unique(self.images.labels)))
        return default_steps(
            len(self.images), classes * self.settings.images_per_category, self.settings.epochs
        )


def train(
    job: TrainingJob, compute: Compute, listener: ProgressListener, hooks: StepHooks | None = None
) -> dict[str, float]:
    """Train ``job.model`` (and its specialist) in place; return each loss term's mean over the last steps.

    Raises:
        NotFiniteLoss: a loss became NaN or infinite.
    """
    steps, settings = job.steps(), job.settings
    class_ids = torch.from_numpy(np.unique(job.images.labels)).to(compute.device)
    networks = [network.to(compute.device).train() for network in (job.model, job.specialist) if network]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(job.seed)  # losses with weights of their own draw them here
        losses = [make_loss(settings, class_ids, network.projection.out_features) for network in networks]
    losses = [loss.to(compute.device) for loss in losses]
    optimiser = _optimiser(networks, losses, settings)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, steps))
    random = np.random.default_rng(job.seed)
    batches = balanced_batches(
        job.images.labels, steps, settings.batch_categories, settings.images_per_category, random
    )
    hooks = hooks or StepHooks()
    hooks.before_training(job, optimiser, losses[0])
    recent: list[dict[str, float]] = []
    for step, rows in enumerate(batches):
        terms = _forward(job, rows, losses, compute, random, hooks)
        own = torch.stack(list(terms.values())).sum()
        loss = hooks.before_backward(own)
        if loss is not own:
            terms["plugins"] = loss - own
        values = {name: float(term.detach()) for name, term in terms.items()}
        if not math.isfinite(sum(values.values())):
            raise NotFiniteLoss(job.name, step, values)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        hooks.before_update()
        optimiser.step()
        schedule.step()
        recent = [*recent[-19:], values]
        listener.advance(1, f"loss {sum(values.values()):.3f}")
        if not hooks.after_update():
            break
    return {name: float(np.mean([values[name] for values in recent])) for name in recent[-1]}


def _forward(
    job: TrainingJob,
    rows: NDArray[np.intp],
    losses: list[nn.Module],
    compute: Compute,
    random: np.random.Generator,
    hooks: StepHooks,
) -> dict[str, torch.Tensor]:
    labels = torch.from_numpy(job.images.labels[rows]).to(compute.device)
    view = training_views(
        job.images.pixels[rows],
        job.model.settings.image_side_pixels,
        flip=job.settings.flip,
        smallest_crop=job.settings.smallest_crop,
        random=random,
        device=compute.device,
    )
    hooks.before_forward(view, labels)
    with compute.autocast():
        model = job.model(view).embeddings
        specialist = job.specialist(view).embeddings if job.specialist else None
    batch = Batch(
        labels,
        hooks.after_forward(model),
        specialist,
        None if job.teachers.old is None else _rows(job.teachers.old, rows, compute),
        tuple(_rows(earlier, rows, compute) for earlier in job.teachers.virtual),
    )
    temperature = job.settings.objective.relation_temperature
    return objective(batch, job.recipe, losses[0], losses[1] if job.specialist else None, temperature)


def _rows(values: NDArray[np.float32], rows: NDArray[np.intp], compute: Compute) -> torch.Tensor:
    return torch.from_numpy(values[rows]).to(compute.device)


def _optimiser(
    networks: list[Embedder], losses: list[nn.Module], settings: TrainingSettings
) -> torch.optim.Optimizer:
    groups = []
    for network in networks:
        backbone = [p for p in network.backbone.parameters() if p.requires_grad]
        rate = settings.backbone_rate(pretrained=network.settings.pretrained)
        groups.append({"params": backbone, "lr": rate})
        groups.append({"params": list(network.projection.parameters()), "lr": settings.head_learning_rate})
    proxies = [parameter for loss in losses for parameter in loss.parameters()]
    if proxies:
        groups.append({"params": proxies, "lr": PROXY_RATE, "weight_decay": 0.0})
    return torch.optim.AdamW(groups, weight_decay=settings.weight_decay)


def _rate(step: int, steps: int) -> float:
    """Linear warm-up over a tenth of the steps, then half a cosine down to zero."""
    warm_up = max(1, round(WARM_UP_SHARE * steps))
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))
