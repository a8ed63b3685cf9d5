"""A training step around forward and backward: our loop against the one that a user would write by hand.

All arms train our network class with our loss on the same batches, with the same optimiser and schedule, so
that what differs is the loop. Avalanche's Naive gets the batches that were drawn beforehand.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.network_weights import read_weights, write_weights
from benchmarks.side_by_side.answers import close_together
from benchmarks.side_by_side.rows import Arm, Row, Sizes, Target, Work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    import torch

    from continual_dml.strategies.job import TrainingJob


def prepare(folder: Path, sizes: Sizes) -> None:
    """Write the weights that a pretrained network starts with."""
    if sizes["network"] != "conv4":
        write_weights(folder, sizes["network"])


def ours(folder: Path, sizes: Sizes) -> Work:
    """The training loop of an ingest, method ``finetune``."""
    from continual_dml.embedding.precision import choose_compute
    from continual_dml.ports import SilentListener
    from continual_dml.strategies.training import train

    compute = choose_compute("cpu", "fp32")
    return _work(folder, sizes, lambda job: train(job, compute, SilentListener()))


def plain_loop(folder: Path, sizes: Sizes) -> Work:
    """A loop as in PyTorch's tutorials."""

    def run(job: TrainingJob) -> None:
        criterion, optimiser, schedule = _parts(job)
        job.model.train()
        for images, labels in _batches(job):
            loss = criterion(job.model(images).embeddings, labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            loss.item()  # users want to see it

    return _work(folder, sizes, run)


def avalanche(folder: Path, sizes: Sizes) -> Work:
    """Avalanche's Naive, without a logger or a metric."""
    from continual_dml.records import Experience
    from continual_dml.strategies.avalanche_views import UnitEmbeddings
    from streams.avalanche_bridge import as_avalanche_benchmark

    from avalanche.core import SupervisedPlugin  # isort: skip - after the bridge, which guards the import
    from avalanche.logging import BaseLogger  # isort: skip
    from avalanche.training.plugins import EvaluationPlugin  # isort: skip
    from avalanche.training.supervised import Naive  # isort: skip

    class SameBatches(SupervisedPlugin):  # type: ignore[misc]
        """Gives ``Naive`` our batches and optimiser."""

        def __init__(self, job: TrainingJob) -> None:
            super().__init__()
            self._job = job
            self._criterion, self._optimiser, self._schedule = _parts(job)

        def before_training_exp(self, strategy: Any, **kwargs: object) -> None:  # noqa: ANN401
            strategy.dataloader = [[*batch, batch[1] * 0] for batch in _batches(self._job)]
            strategy.optimizer = self._optimiser

        def after_update(self, strategy: Any, **kwargs: object) -> None:  # noqa: ANN401
            self._schedule.step()

    def run(job: TrainingJob) -> None:
        criterion, optimiser, _ = _parts(job)
        strategy = Naive(
            model=UnitEmbeddings(job.model),
            optimizer=optimiser,
            criterion=criterion,
            train_epochs=1,
            plugins=[SameBatches(job)],
            evaluator=EvaluationPlugin(loggers=[BaseLogger()]),
        )
        stream = [Experience(job.name, job.images, job.images)]
        benchmark = as_avalanche_benchmark(stream, job.model.settings.image_side_pixels)
        strategy.train(benchmark.train_stream[0])

    return _work(folder, sizes, run)


def _work(folder: Path, sizes: Sizes, train: Callable[[TrainingJob], object]) -> Work:
    """Return the work of training a new network, always the same one; making it is not timed."""
    from benchmarks.step_cost import images_of
    from continual_dml.embedding.cohort import build_member
    from continual_dml.embedding.freed_memory import freed_memory_kept
    from continual_dml.settings import ModelSettings, TrainingSettings
    from continual_dml.strategies.job import TrainingJob
    from continual_dml.strategies.members import Member
    from continual_dml.strategies.recipes import Recipe

    pretrained = None if sizes["network"] == "conv4" else read_weights(folder)
    model = ModelSettings(
        backbone=sizes["network"], pretrained=pretrained is not None, image_side_pixels=sizes["side"]
    )
    images = images_of(model.stored_side_pixels)
    settings = TrainingSettings(method="finetune", steps=sizes["steps"])
    jobs: list[TrainingJob] = []

    def before() -> None:
        member = Member(build_member(model, pretrained, 0, seed=0))
        jobs[:] = [TrainingJob("step overhead", (member,), images, Recipe(), settings, seed=0)]

    def run() -> dict[str, torch.Tensor]:
        with freed_memory_kept():  # the allocator's doing and not the loop's, so all arms have it
            train(jobs[0])
        return {"weights": jobs[0].model.projection.weight.detach()}

    return Work(run, before=before, amount=sizes["steps"])


def _parts(job: TrainingJob) -> tuple[Any, Any, Any]:
    """Return loss, optimiser and schedule."""
    import numpy as np
    import torch

    from continual_dml.losses import make_loss
    from continual_dml.strategies.optimiser import make_optimiser, make_schedule

    classes = torch.from_numpy(np.unique(job.images.labels))
    criterion = make_loss(job.settings, classes, job.model.projection.out_features)
    optimiser = make_optimiser([job.model], [criterion], job.settings)
    return criterion, optimiser, make_schedule(optimiser, job.steps())


def _batches(job: TrainingJob) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield the views and labels that our loop draws too."""
    import numpy as np
    import torch

    from continual_dml.embedding.preprocessing import training_views
    from continual_dml.strategies.sampling import balanced_batches

    of_batches, of_views = np.random.default_rng(job.seed).spawn(2)
    settings, labels = job.settings, job.images.labels
    for rows in balanced_batches(
        labels, job.steps(), settings.batch_categories, settings.images_per_category, of_batches
    ):
        views = training_views(
            torch.from_numpy(job.images.pixels[rows]),
            job.model.settings.image_side_pixels,
            flip=settings.flip,
            smallest_crop=settings.smallest_crop,
            random=of_views,
            device=torch.device("cpu"),
        )
        yield views, torch.from_numpy(labels[rows])


def _row(network: str, side: int, steps: int) -> Row:
    return Row(
        name=f"step_overhead_{network}",
        title=f"a training step, {network} at {side} px",
        unit="steps",
        arms=(
            Arm("ours", f"{__name__}:ours"),
            Arm("plain loop", f"{__name__}:plain_loop"),
            Arm("Avalanche Naive", f"{__name__}:avalanche"),
        ),
        targets=(
            Target(against="plain loop", at_most=1.05, inverse=True),
            Target(against="Avalanche Naive", at_most=1.05, inverse=True),
        ),
        same=close_together(1e-3),
        prepare=prepare,
        sizes={"network": network, "side": side, "steps": steps},
        quick={"steps": max(6, steps // 4)},
    )


ROWS = (_row("conv4", 32, 40), _row("mobilenet_v2", 128, 8))
