"""A small network that learns the drift."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from continual_dml.memory.drift_estimators.protocol import ByPosition, Carrier, Floats, Ints
from continual_dml.memory.drift_strength import category_folds

HIDDEN = 128
RATE, DECAY = 3e-3, 1e-2
MOST_STEPS, LOOK_EVERY, PATIENCE = 300, 10, 30


def fit_perceptron(before: NDArray[np.floating], after: NDArray[np.floating], labels: Ints) -> Carrier:
    """Fit a network with one hidden layer to what the mean shift leaves of the drift.

    ::

        g(x) = x + mean_b - mean_a + r (W_2 relu(W_1 (x - mean_a)/s + c_1) + c_2)

    s and r are the root mean square of x - mean_a and of the remaining drift. W_2 begins at zero, so that
    training starts from the mean shift; it is AdamW on all images at once. The number of steps is the one
    that carries held-out categories best, none at all among them; none also where nothing can be held out.
    Seeded.

    Source: the idea of a learned adapter is common (LDC 2024, AdaGauss 2024); this network is ours.
    """
    old, new = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    best = _Adapter.beginning(old, new)
    best.train(old, new, _best_steps(old, new, labels))
    weights = sum(weight.numel() for weight in best.network.parameters())
    return ByPosition(best, weights + best.centre.size + best.shift.size)


def _best_steps(old: Floats, new: Floats, labels: Ints) -> int:
    """Return after how many steps held-out categories are carried best; none is tried long after the best."""
    folds = category_folds(labels)
    if len(folds) < 2:
        return 0
    adapters = [_Adapter.beginning(old[~rows], new[~rows]) for rows in folds]
    least, best = np.inf, 0
    for steps in range(0, MOST_STEPS + 1, LOOK_EVERY):
        error = 0.0
        for adapter, rows in zip(adapters, folds, strict=True):
            adapter.train(old[~rows], new[~rows], LOOK_EVERY if steps else 0)
            error += float(np.square(adapter(old[rows]) - new[rows]).sum())
        if error < least:
            least, best = error, steps
        elif steps - best >= PATIENCE:
            break
    return best


@dataclass(slots=True, eq=False)
class _Adapter:
    centre: Floats
    shift: Floats
    input_scale: float
    drift_scale: float
    network: nn.Sequential
    optimiser: torch.optim.Optimizer

    @classmethod
    def beginning(cls, old: Floats, new: Floats) -> _Adapter:
        """Return the mean shift, ready to be trained."""
        centre, shift = old.mean(axis=0), (new - old).mean(axis=0)
        network = _network(old.shape[1])
        optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
        scales = _root_mean_square(old - centre), _root_mean_square(new - old - shift)
        return cls(centre, shift, *scales, network, optimiser)

    def train(self, old: Floats, new: Floats, steps: int) -> None:
        """Take optimisation steps on all images at once."""
        seen = self._seen(old)
        wanted = torch.from_numpy((new - old - self.shift) / self.drift_scale).float()
        for _ in range(steps):
            self.optimiser.zero_grad()
            error: Tensor = torch.square(self.network(seen) - wanted).mean()
            error.backward()  # type: ignore[no-untyped-call]
            self.optimiser.step()

    def __call__(self, points: Floats) -> Floats:
        with torch.inference_mode():
            drift = self.network(self._seen(points)).double().numpy()
        return np.asarray(points + self.shift + self.drift_scale * drift)

    def _seen(self, points: Floats) -> Tensor:
        return torch.from_numpy((points - self.centre) / self.input_scale).float()


def _network(dimension: int) -> nn.Sequential:
    """Return the network, drawn without touching torch's global generator."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        first, second = nn.Linear(dimension, HIDDEN), nn.Linear(HIDDEN, dimension)
        nn.init.normal_(first.weight, 0.0, (2.0 / dimension) ** 0.5)
    for zero in (first.bias, second.weight, second.bias):
        nn.init.zeros_(zero)
    return nn.Sequential(first, nn.ReLU(), second)


def _root_mean_square(values: Floats) -> float:
    return float(np.sqrt(np.square(values).mean())) or 1.0
