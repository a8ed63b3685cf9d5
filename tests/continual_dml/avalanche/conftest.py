"""Small streams, benchmarks and strategies for tests with Avalanche."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from continual_dml.embedding.precision import Compute
from continual_dml.records import Experience, LabelledImages
from continual_dml.settings import ModelSettings, Settings, TrainingSettings
from continual_dml.strategies.avalanche_strategy import EmbeddingStrategy
from streams.avalanche_bridge import as_avalanche_benchmark, labelled_images

from avalanche.benchmarks import CLScenario  # isort: skip - after the bridge, which guards the import
from avalanche.core import SupervisedPlugin  # isort: skip

CPU = Compute(torch.device("cpu"), bf16=False)
SETTINGS = Settings(
    model=ModelSettings(backbone="conv4", pretrained=False, embedding_dim=8, image_side_pixels=16),
    training=TrainingSettings(
        method="finetune", steps=4, batch_categories=4, images_per_category=3, seed=3, device="cpu"
    ),
)


def drawn_images(labels: np.ndarray, side: int, seed: int, noise: float = 45.0) -> LabelledImages:
    """Each class is a mosaic of random colours, moved a little and covered with noise."""
    random = np.random.default_rng(seed)
    pixels = np.empty((len(labels), side, side, 3), dtype=np.uint8)
    for row, label in enumerate(labels):
        mosaic = np.random.default_rng(1000 + label).integers(40, 216, (4, 4, 3))
        picture = np.kron(mosaic, np.ones((side // 4 + 1, side // 4 + 1, 1)))[:side, :side]
        moved = np.roll(picture, random.integers(-3, 4, size=2), axis=(0, 1))
        pixels[row] = np.clip(moved + random.normal(0, noise, moved.shape), 0, 255)
    return LabelledImages(pixels, labels.astype(np.int64))


def experiences(
    tasks: int = 2, classes: int = 4, side: int = 18, train: int = 4, query: int = 2, noise: float = 45.0
) -> list[Experience]:
    parts = [np.arange(task * classes, (task + 1) * classes) for task in range(tasks)]
    return [
        Experience(
            f"task {task}",
            drawn_images(np.repeat(part, train), side, task, noise),
            drawn_images(np.repeat(part, query), side, 100 + task, noise),
        )
        for task, part in enumerate(parts)
    ]


@pytest.fixture
def settings() -> Settings:
    """Settings that learn next to nothing, quickly."""
    return SETTINGS


@pytest.fixture
def compute() -> Compute:
    return CPU


@pytest.fixture
def drawn() -> Callable[..., LabelledImages]:
    """Return a function that draws images of given labels."""
    return drawn_images


@pytest.fixture
def stream() -> Callable[..., list[Experience]]:
    """Return a function that draws experiences."""
    return experiences


@pytest.fixture(scope="session")
def benchmark() -> CLScenario:
    """Two experiences of four categories each."""
    return as_avalanche_benchmark(experiences(), 16)


@pytest.fixture
def strategy(benchmark: CLScenario) -> Callable[..., EmbeddingStrategy]:
    """Return a function that makes a strategy with ``benchmark``'s images to search."""

    def make(
        plugins: object = None, evaluator: object = None, eval_every: int = -1, **training: object
    ) -> EmbeddingStrategy:
        return EmbeddingStrategy(
            settings=replace(SETTINGS, training=replace(SETTINGS.training, **training)),
            images_of=partial(labelled_images, stored_side_pixels=18),
            compute=CPU,
            gallery=benchmark.train_stream,
            plugins=plugins,
            evaluator=evaluator,
            eval_every=eval_every,
        )

    return make


class Recorder(SupervisedPlugin):
    """Notes every callback and what the strategy looks like then."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.models: list[object] = []

    def note(self, name: str, strategy: EmbeddingStrategy) -> None:
        self.calls.append(name)
        if name == "before_training_exp":
            held = {id(p) for group in strategy.optimizer.param_groups for p in group["params"]}
            assert held == {id(p) for p in strategy.model.parameters()}
        if name == "before_forward":
            assert strategy.mb_x.shape == (12, 3, 16, 16)
            assert strategy.mb_y.shape == (12,)
            assert strategy.mb_task_id.tolist() == [0] * 12
            assert strategy.loss.tolist() == [0.0]
        if name in ("before_backward", "after_eval_iteration"):
            assert torch.allclose(strategy.mb_output.norm(dim=1), torch.ones(len(strategy.mb_y)))
            assert set(strategy.mb_y.tolist()) <= set(strategy.experience.classes_in_this_experience)
        if name == "before_update":
            assert all(p.grad is not None for p in strategy.model.parameters())


def _noting(name: str) -> object:
    def callback(self: Recorder, strategy: EmbeddingStrategy, **_: object) -> None:
        self.note(name, strategy)

    return callback


for _name in dir(SupervisedPlugin):
    if _name.startswith(("before_", "after_")):
        setattr(Recorder, _name, _noting(_name))


@pytest.fixture
def recorder() -> Recorder:
    """A plugin that notes every callback."""
    return Recorder()
