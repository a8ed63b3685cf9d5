"""The optimisation loop of one task, the same for every method."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from continual_dml.embedding.precision import Compute
from continual_dml.errors import NotFiniteLoss
from continual_dml.losses import make_loss
from continual_dml.ports import Checkpoints, ProgressListener
from continual_dml.strategies.forward import ForwardPass
from continual_dml.strategies.hooks import StepHooks
from continual_dml.strategies.job import TrainingJob
from continual_dml.strategies.kept_views import KeptBatch
from continual_dml.strategies.optimiser import make_optimiser, make_schedule
from continual_dml.strategies.prefetch import PixelBatch, pixel_batch, prefetched
from continual_dml.strategies.sampling import balanced_batches
from continual_dml.strategies.training_state import TrainingState

OnStep = Callable[[int, Mapping[str, float]], None]


def train(
    job: TrainingJob,
    compute: Compute,
    listener: ProgressListener,
    hooks: StepHooks | None = None,
    checkpoints: Checkpoints | None = None,
    on_step: OnStep | None = None,
) -> dict[str, float]:
    """Train all networks of ``job`` in place; return each loss term's mean over the last steps.

    Args:
        job: what is to be trained on what.
        compute: device and precision.
        listener: advanced by one per step.
        hooks: called around each step.
        checkpoints: where the run goes on from, and is kept from time to time; None where it is not.
        on_step: told each step's number, from 0, and its loss terms.

    Raises:
        NotFiniteLoss: a loss became NaN or infinite.
    """
    devices = [compute.device] if compute.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):  # losses and layers such as dropout draw from these
        torch.manual_seed(job.seed)
        return _train(job, compute, listener, hooks or StepHooks(), checkpoints, on_step)


def _train(
    job: TrainingJob,
    compute: Compute,
    listener: ProgressListener,
    hooks: StepHooks,
    checkpoints: Checkpoints | None,
    on_step: OnStep | None,
) -> dict[str, float]:
    networks = [[network.to(compute.device).train() for network in member.networks] for member in job.members]
    losses = _losses(job, compute)
    optimiser = make_optimiser(
        [network for pair in networks for network in pair],
        [loss for pair in losses for loss in pair],
        job.settings,
    )
    schedule = make_schedule(optimiser, job.steps())
    # Of their own each, so that what a method sees of an image never decides which images it sees.
    of_batches, of_views, of_kept_views = np.random.default_rng(job.seed).spawn(3)
    batches = balanced_batches(
        job.images.labels,
        job.steps(),
        job.settings.batch_categories,
        job.settings.images_per_category,
        of_batches,
    )
    hooks.before_training(job, optimiser, losses[0][0])
    forward = ForwardPass(job, losses, compute, of_views, hooks)
    run = TrainingState(job, losses, optimiser, schedule, forward, compute.device)
    first, recent = _begun(run, checkpoints, listener)
    ahead = _ahead(job, batches, first, of_kept_views, pin=compute.device.type == "cuda")
    for step, images in enumerate(ahead, start=first):
        terms = forward.terms(step, images)
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
        forward.peers.follow()
        recent = [*recent[-19:], values]
        if on_step is not None:
            on_step(step, values)
        listener.advance(1, f"loss {sum(values.values()):.3f}")
        if checkpoints is not None and checkpoints.is_due(last=step + 1 == job.steps()):
            problem = checkpoints.write(run.captured(step + 1, recent))
            if problem is not None:
                listener.note(f"an interruption would lose what is learned so far: {problem}")
        if not hooks.after_update():
            break
    return {name: float(np.mean([values.get(name, 0.0) for values in recent])) for name in recent[-1]}


def _ahead(
    job: TrainingJob,
    batches: Iterator[NDArray[np.intp]],
    first: int,
    random: np.random.Generator,
    *,
    pin: bool,
) -> Iterator[PixelBatch | KeptBatch]:
    """Yield what is to be looked at from step ``first`` on; what earlier steps drew is drawn once more."""
    if job.kept is None:
        return prefetched(islice(batches, first, None), partial(pixel_batch, job.images.pixels, pin=pin))
    drawn = job.kept.drawn(batches, random)
    return prefetched(islice(drawn, first, None), partial(job.kept.read, pin=pin))


def _begun(
    run: TrainingState, checkpoints: Checkpoints | None, listener: ProgressListener
) -> tuple[int, list[dict[str, float]]]:
    """Return the steps that an interrupted run has taken already, and its last values of the loss terms."""
    kept = None if checkpoints is None else checkpoints.read()
    if kept is None:
        return 0, []
    step, recent = run.restore(kept)
    listener.note(f"goes on after {step} of {run.job.steps()} steps of an interrupted run")
    listener.advance(step)
    return step, recent


def _losses(job: TrainingJob, compute: Compute) -> list[list[nn.Module]]:
    """Return a metric loss for each network of each member; losses with weights draw them here."""
    class_ids = torch.from_numpy(np.unique(job.images.labels)).to(compute.device)
    return [
        [
            make_loss(job.settings, class_ids, network.projection.out_features).to(compute.device)
            for network in member.networks
        ]
        for member in job.members
    ]
