"""Compare our ``finetune`` with Avalanche's own ``Naive`` strategy, trained with the same loss on one stream.

An independent check of the training loop: everything between a batch and a recall matrix is written a
second time here, with Avalanche's loop, a schedule and a Recall@1 of its own. Taken over are the initial
weights, the loss and the number of steps.

    python -m benchmarks.avalanche_naive                                   # glyphs, conv4, 3 seeds
    python -m benchmarks.avalanche_naive --tasks A B C --backbone mobilenet_v2 --weights FILE --image-side 128

``Naive`` runs twice per seed: with the very batches that ``finetune`` drew (the matrices should be equal up
to rounding) and with batches of its own (they should be equal within the spread over seeds). The result is
Markdown.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from continual_dml.embedding.embedder import embedder_state, restore_embedder
from continual_dml.embedding.extract import extract
from continual_dml.embedding.precision import Compute, choose_compute
from continual_dml.embedding.preprocessing import training_views
from continual_dml.embedding.weights import read_weights_file
from continual_dml.losses import make_loss
from continual_dml.memory.discriminant_head import unit_rows
from continual_dml.metrics.recall import retrieval_metrics
from continual_dml.ports import SilentListener
from continual_dml.records import Experience, LabelledImages
from continual_dml.settings import ModelSettings, Settings, StreamSettings, TrainingSettings
from continual_dml.strategies.avalanche_views import UnitEmbeddings
from continual_dml.strategies.hooks import StepHooks
from continual_dml.strategies.job import TrainingJob
from continual_dml.strategies.learner import Learner
from continual_dml.strategies.sampling import balanced_batches
from continual_dml.strategies.state import LearnerState
from streams.avalanche_bridge import as_avalanche_benchmark
from streams.experiences import stream_from_tasks
from streams.glyphs import GLYPH_TASKS, render_task
from streams.task_folder import load_task

from avalanche.core import SupervisedPlugin  # isort: skip - after the bridge, which guards the import
from avalanche.logging import BaseLogger  # isort: skip
from avalanche.training.plugins import EvaluationPlugin  # isort: skip
from avalanche.training.supervised import Naive  # isort: skip

Matrix = NDArray[np.float64]
Weights = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Comparison:
    """Recall@1 of one seed, merged gallery, (T, T) with NaN above the diagonal.

    ``weights_apart`` is the largest difference of any final weight between ``finetune`` and the same batches.
    """

    finetune: Matrix
    naive_same_batches: Matrix
    naive_own_batches: Matrix
    weights_apart: float


class _Start(StepHooks):
    """Notes where ``finetune`` started: initial weights, and seed and steps of each task."""

    def __init__(self) -> None:
        self.weights: dict[str, NDArray[Any]] = {}
        self.seeds: list[int] = []
        self.steps: list[int] = []

    def before_training(
        self, job: TrainingJob, optimiser: torch.optim.Optimizer, loss: torch.nn.Module
    ) -> None:
        """Note the start of one task."""
        self.weights = self.weights or embedder_state(job.model)
        self.seeds.append(job.seed)
        self.steps.append(job.steps())


class _SameTraining(SupervisedPlugin):  # type: ignore[misc]
    """Gives ``Naive`` class-balanced augmented batches, and the optimiser and schedule of docs/methods.md."""

    def __init__(
        self, stream: Sequence[Experience], settings: Settings, steps: Sequence[int], seeds: Sequence[int]
    ) -> None:
        super().__init__()
        self._stream, self._settings, self._steps, self._seeds = stream, settings, steps, seeds
        self._schedule: torch.optim.lr_scheduler.LambdaLR | None = None

    def before_training_exp(self, strategy: Any, **kwargs: object) -> None:  # noqa: ANN401
        """Replace loader and optimiser for this experience."""
        task = strategy.experience.current_experience
        training, embedder = self._settings.training, strategy.model.embedder
        strategy.dataloader = list(self._batches(self._stream[task].train, task))
        groups: list[dict[str, Any]] = [
            {"params": [p for p in embedder.backbone.parameters() if p.requires_grad]},
            {"params": list(embedder.projection.parameters()), "lr": training.head_learning_rate},
        ]
        strategy.optimizer = torch.optim.AdamW(
            groups,
            lr=training.backbone_rate(pretrained=self._settings.model.pretrained),
            weight_decay=training.weight_decay,
            fused=True,  # as ours on a CPU: the last bits of a step grow over many
        )
        total, warm = self._steps[task], max(1, round(self._steps[task] / 10))

        def rate(step: int) -> float:
            cosine = 0.5 + 0.5 * math.cos(math.pi * (step - warm) / max(1, total - warm))
            return min((step + 1) / warm, 1.0) if step < warm else cosine

        self._schedule = torch.optim.lr_scheduler.LambdaLR(strategy.optimizer, rate)

    def after_update(self, strategy: Any, **kwargs: object) -> None:  # noqa: ANN401
        """Move on in the schedule."""
        if self._schedule is not None:
            self._schedule.step()

    def _batches(self, images: LabelledImages, task: int) -> Iterator[list[torch.Tensor]]:
        training, side = self._settings.training, self._settings.model.image_side_pixels
        sizes = training.batch_categories, training.images_per_category
        of_batches, of_views = np.random.default_rng(self._seeds[task]).spawn(2)
        drawn = balanced_batches(images.labels, self._steps[task], *sizes, of_batches)
        for rows in drawn:
            view = training_views(
                torch.from_numpy(images.pixels[rows]),
                side,
                flip=training.flip,
                smallest_crop=training.smallest_crop,
                random=of_views,
                device=torch.device("cpu"),
            )
            labels = torch.from_numpy(images.labels[rows])
            yield [view, labels, torch.zeros_like(labels)]


def compare(
    stream: Sequence[Experience], settings: Settings, pretrained: Weights | None, compute: Compute
) -> Comparison:
    """Return the three recall matrices of one seed, ``settings.training.seed``; precision is always fp32."""
    start = _Start()
    finetune, ours = _finetune(stream, settings, pretrained, compute, start)
    same, theirs = _naive(stream, settings, compute, start, start.seeds)
    own, _ = _naive(stream, settings, compute, start, [seed + 1 for seed in start.seeds])
    apart = max(float(np.abs(ours[name] - value).max()) for name, value in theirs.items())
    return Comparison(finetune, same, own, apart)


def _finetune(
    stream: Sequence[Experience],
    settings: Settings,
    pretrained: Weights | None,
    compute: Compute,
    start: _Start,
) -> tuple[Matrix, Weights]:
    learner = Learner(settings, pretrained, compute, SilentListener())
    matrix = np.full((len(stream), len(stream)), np.nan)
    state: LearnerState | None = None
    for task, experience in enumerate(stream):
        learned = learner.learn(experience.name, experience.train, state, task - 1, start)
        state = learned.state
        seen = stream[: task + 1]

        def vectors(images: LabelledImages, embedder: Any = learned.embedder) -> NDArray[np.float32]:  # noqa: ANN401
            return unit_rows(extract(embedder, images.pixels, compute).outputs)

        gallery = np.concatenate([vectors(part.train) for part in seen])
        labels = np.concatenate([part.train.labels for part in seen])
        for column, part in enumerate(seen):
            found = retrieval_metrics(vectors(part.query), part.query.labels, gallery, labels, ks=(1,))
            matrix[task, column] = found.recall[1]
    return matrix, embedder_state(learned.embedder)


def _naive(
    stream: Sequence[Experience], settings: Settings, compute: Compute, start: _Start, seeds: Sequence[int]
) -> tuple[Matrix, Weights]:
    model = UnitEmbeddings(restore_embedder(settings.model, start.weights))
    class_ids = torch.from_numpy(np.unique(np.concatenate([part.train.labels for part in stream])))
    strategy = Naive(
        model=model,
        optimizer=torch.optim.AdamW(model.parameters()),  # replaced by the plugin
        criterion=make_loss(settings.training, class_ids, settings.model.embedding_dim),
        train_epochs=1,
        device=compute.device,
        plugins=[_SameTraining(stream, settings, start.steps, seeds)],
        evaluator=EvaluationPlugin(loggers=[BaseLogger()]),
    )
    benchmark = as_avalanche_benchmark(stream, settings.model.image_side_pixels)
    matrix = np.full((len(stream), len(stream)), np.nan)
    for task, experience in enumerate(benchmark.train_stream):
        strategy.train(experience)
        gallery = [_answers(model, part.dataset, compute) for part in benchmark.train_stream[: task + 1]]
        vectors, labels = (torch.cat(part) for part in zip(*gallery, strict=True))
        for column, part in enumerate(benchmark.test_stream[: task + 1]):
            asked, wanted = _answers(model, part.dataset, compute)
            nearest = labels[(asked @ vectors.T).argmax(dim=1)]
            matrix[task, column] = float((nearest == wanted).double().mean())
    return matrix, embedder_state(model.embedder)


def _answers(model: UnitEmbeddings, dataset: Any, compute: Compute) -> tuple[torch.Tensor, torch.Tensor]:  # noqa: ANN401
    model.eval()
    loader = torch.utils.data.DataLoader(dataset.eval(), batch_size=50)
    with torch.no_grad():
        parts = [(model(images.to(compute.device)).cpu(), labels) for images, labels, _ in loader]
    vectors, labels = (torch.cat(part) for part in zip(*parts, strict=True))
    return vectors, labels


def markdown(comparisons: Sequence[Comparison]) -> str:
    """Return the three matrices, mean +- standard deviation over seeds, and how far they are apart."""
    lines: list[str] = []
    arms = {
        "finetune": [c.finetune for c in comparisons],
        "Naive, same batches": [c.naive_same_batches for c in comparisons],
        "Naive, own batches": [c.naive_own_batches for c in comparisons],
    }
    tasks = comparisons[0].finetune.shape[0]
    for title, matrices in arms.items():
        mean, spread = np.mean(matrices, axis=0), np.std(matrices, axis=0, ddof=min(1, len(matrices) - 1))
        lines += ["", f"**{title}**: Recall@1, merged gallery, {len(matrices)} seeds", ""]
        lines += [
            "| after | " + " | ".join(f"task {j + 1}" for j in range(tasks)) + " |",
            "|---" * (tasks + 1) + "|",
        ]
        for row in range(tasks):
            cells = [f"{mean[row, j]:.3f} ± {spread[row, j]:.3f}" for j in range(row + 1)]
            lines.append(f"| {row + 1} | " + " | ".join(cells + [""] * (tasks - row - 1)) + " |")
    ours = np.array(arms["finetune"])
    for title in list(arms)[1:]:
        apart = np.array(arms[title]) - ours
        lines += [
            "",
            f"{title} minus finetune: mean {np.nanmean(apart):+.4f}, largest of any entry and seed "
            f"{np.nanmax(np.abs(apart)):.4f}.",
        ]
    weights = max(comparison.weights_apart for comparison in comparisons)
    lines += ["", f"Largest difference of any final weight with the same batches: {weights:.1e}."]
    return "\n".join(lines[1:])


def _stream(options: argparse.Namespace) -> list[Experience]:
    side = ModelSettings(image_side_pixels=options.image_side).stored_side_pixels
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(task) for task in options.tasks]
        for name in () if paths else options.glyphs:
            paths.append(Path(folder) / name)
            render_task(name, paths[-1], options.categories, options.samples, side)
        tasks = [
            load_task(path, name=None, side_pixels=side, settings=StreamSettings(), listener=SilentListener())
            for path in paths
        ]
    return stream_from_tasks(tasks)


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--tasks", nargs="+", default=[], help="task folders; glyphs are drawn if there are none"
    )
    parser.add_argument(
        "--glyphs", nargs="+", default=["latin", "greek", "cyrillic"], choices=list(GLYPH_TASKS)
    )
    parser.add_argument("--categories", type=int, default=12, help="per glyph task")
    parser.add_argument("--samples", type=int, default=15, help="per glyph category")
    parser.add_argument("--backbone", default="conv4")
    parser.add_argument("--weights", type=Path, help="pretrained backbone weights; random ones without")
    parser.add_argument("--image-side", type=int, default=32)
    parser.add_argument("--steps", type=int, help="per task; by default what the learner takes")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    pretrained = read_weights_file(options.weights) if options.weights else None
    settings = Settings(
        model=ModelSettings(
            backbone=options.backbone, pretrained=bool(pretrained), image_side_pixels=options.image_side
        ),
        training=TrainingSettings(method="finetune", steps=options.steps),
    )
    stream = _stream(options)
    compute = choose_compute(options.device, "fp32")
    seeded = [replace(settings, training=replace(settings.training, seed=seed)) for seed in options.seeds]
    print(markdown([compare(stream, each, pretrained, compute) for each in seeded]))


if __name__ == "__main__":
    main()
