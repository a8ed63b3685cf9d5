"""The learner as an Avalanche strategy: an Avalanche benchmark, Avalanche's loggers, our metrics.

Takes Avalanche's seconds to import. Any benchmark whose images are pictures will do; here it is one of drawn
letters, made with Avalanche's own ``benchmark_from_datasets``.
"""

import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import cdml
from cdml.avalanche import EmbeddingStrategy, RetrievalMetric, labelled_images
from streams.glyphs import render_task

from avalanche.benchmarks import CLScenario, benchmark_from_datasets  # isort: skip - after cdml.avalanche
from avalanche.benchmarks.utils import as_classification_dataset  # isort: skip
from avalanche.evaluation.metrics import loss_metrics  # isort: skip
from avalanche.logging import TextLogger  # isort: skip
from avalanche.training.plugins import EvaluationPlugin  # isort: skip
from torchvision.datasets import ImageFolder  # isort: skip

SETTINGS = cdml.Settings(
    model=cdml.ModelSettings(backbone="conv4", pretrained=False, image_side_pixels=24, embedding_dim=32),
    training=cdml.TrainingSettings(steps=50, flip=False, learning_rate=3e-3),
)


def benchmark_of_letters(folder: Path) -> CLScenario:
    """Return a benchmark of two experiences, Latin and Greek letters, with pictures to learn and to ask."""
    streams: dict[str, list[object]] = {"train": [], "test": []}
    for experience, alphabet in enumerate(("latin", "greek")):
        for seed, (stream, samples) in enumerate((("train", 16), ("test", 4))):
            place = folder / stream / alphabet
            render_task(
                alphabet, place, categories=6, samples_per_category=samples, side_pixels=32, seed=seed
            )
            pictures = ImageFolder(
                place
            )  # counts its categories from 0, so that those of two folders collide
            pictures.samples = [(path, label + 100 * experience) for path, label in pictures.samples]
            pictures.targets = [label for _, label in pictures.samples]
            streams[stream].append(as_classification_dataset(pictures))
    return benchmark_from_datasets(**streams)


def main(folder: Path) -> None:
    """Learn the stream, evaluating after each experience, as with any other strategy."""
    benchmark = benchmark_of_letters(folder)
    evaluator = EvaluationPlugin(
        RetrievalMetric(), loss_metrics(experience=True), loggers=[TextLogger(sys.stdout)]
    )
    strategy = EmbeddingStrategy(
        settings=SETTINGS,
        images_of=partial(labelled_images, stored_side_pixels=SETTINGS.model.stored_side_pixels),
        gallery=benchmark.train_stream,  # what is searched: of it, the experiences learned so far
        evaluator=evaluator,
    )
    for experience in benchmark.train_stream:
        strategy.train(experience)
        strategy.eval(benchmark.test_stream)
    matrix = strategy.recall_matrix
    for experience, row in enumerate(matrix.rows):
        print(f"Recall@1 after experience {experience}: " + "  ".join(f"{value:.2f}" for value in row))
    print(f"on average {matrix.average():.2f}, forgotten {matrix.forgetting():.2f}")


if __name__ == "__main__":
    with TemporaryDirectory() as directory:
        main(Path(directory))
