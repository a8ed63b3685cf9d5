"""An independent check: Avalanche's own Naive strategy with our loss learns what ``finetune`` learns."""

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from continual_dml.embedding.precision import Compute
from continual_dml.records import Experience
from continual_dml.settings import Settings


@pytest.fixture(scope="module")
def naive_benchmark() -> ModuleType:
    path = Path(__file__).parents[3] / "benchmarks" / "avalanche_naive.py"
    spec = importlib.util.spec_from_file_location("avalanche_naive_under_test", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_avalanches_naive_with_our_loss_gives_the_recall_matrix_of_finetune(
    naive_benchmark: ModuleType, stream: Callable[..., list[Experience]], settings: Settings, compute: Compute
) -> None:
    parts = stream(tasks=3, classes=5, side=36, train=8, query=6, noise=200.0)
    model = replace(settings.model, image_side_pixels=32)
    ours, same, own = [], [], []
    for seed in range(3):
        training = replace(settings.training, steps=8, batch_categories=5, images_per_category=3, seed=seed)
        found = naive_benchmark.compare(
            parts, replace(settings, model=model, training=training), None, compute
        )
        assert found.weights_apart < 1e-5, "same batches: rounding alone"
        ours.append(found.finetune)
        same.append(found.naive_same_batches)
        own.append(found.naive_own_batches)
    one_query = 1 / 30
    assert np.nanmax(np.abs(np.array(same) - ours)) <= one_query + 1e-9, "rounding may turn one query"
    # With batches of its own: the means over three seeds differ by less than four standard errors.
    spread = np.nanmax(np.std([ours, own], axis=1, ddof=1))
    error = max(float(spread), one_query) * np.sqrt(2 / 3)
    assert np.nanmax(np.abs(np.mean(own, axis=0) - np.mean(ours, axis=0))) < 4 * error
    final = np.mean(ours, axis=0)[2]
    assert 0.2 < final.mean() < 0.95, (
        "far from chance (1 in 15) and from perfect, so agreement says something"
    )
