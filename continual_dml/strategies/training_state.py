"""All that a training run is made of between two steps, as named arrays, and back.

A run that is restored goes on exactly as it would have: the same batches, views, and updates.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from continual_dml.strategies.forward import ForwardPass
from continual_dml.strategies.job import TrainingJob
from continual_dml.strategies.named_state import below

Arrays = dict[str, NDArray[Any]]
_MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass(frozen=True, slots=True, eq=False)
class TrainingState:
    """What changes from step to step.

    Args:
        job: whose networks are trained.
        losses: the metric losses of each member's networks.
        optimiser: AdamW over both.
        schedule: of its rates.
        forward: knows peers, earlier selves and where views come from.
        device: of the networks.
    """

    job: TrainingJob
    losses: Sequence[Sequence[nn.Module]]
    optimiser: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LambdaLR
    forward: ForwardPass
    device: torch.device

    def captured(self, step: int, recent: Sequence[Mapping[str, float]]) -> Arrays:
        """Return the state after ``step`` steps, with the ``recent`` values of the loss terms."""
        arrays: Arrays = {
            f"{name}.{key}": _array(value)
            for name, module in self._modules()
            for key, value in module.state_dict().items()
        }
        for number, parameter in enumerate(self._parameters()):
            for key, value in self.optimiser.state.get(parameter, {}).items():
                arrays[f"optimiser.{number}.{key}"] = _array(value)
        for key, value in self.forward.state().items():
            arrays[f"forward.{key}"] = _array(value)
        arrays["random.torch"] = _array(torch.get_rng_state())
        if self.device.type == "cuda":
            arrays["random.cuda"] = _array(torch.cuda.get_rng_state(self.device))
        document = {"step": step, "recent": list(recent), "views": self.forward.random.bit_generator.state}
        arrays["document"] = np.frombuffer(json.dumps(document).encode(), dtype=np.uint8)
        return arrays

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> tuple[int, list[dict[str, float]]]:
        """Go back to what :meth:`captured` returned; return its step and its recent values."""
        tensors = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
        document = json.loads(bytes(arrays["document"]))
        step = int(document["step"])
        for name, module in self._modules():
            module.load_state_dict(below(tensors, f"{name}."))
        for number, parameter in enumerate(self._parameters()):
            found = below(tensors, f"optimiser.{number}.")
            if found:
                self.optimiser.state[parameter] = {
                    key: _laid_out_as(parameter, value) if key in _MOMENTS else value
                    for key, value in found.items()
                }
        self.schedule.last_epoch = step
        for group, rate, share in zip(
            self.optimiser.param_groups, self.schedule.base_lrs, self.schedule.lr_lambdas, strict=True
        ):
            group["lr"] = rate * share(step)
        self.forward.restore(below(tensors, "forward."))
        self.forward.random.bit_generator.state = document["views"]
        torch.set_rng_state(tensors["random.torch"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(tensors["random.cuda"], self.device)
        return step, document["recent"]

    def _modules(self) -> Iterator[tuple[str, nn.Module]]:
        for number, (member, losses) in enumerate(zip(self.job.members, self.losses, strict=True)):
            for kind, modules in (("network", member.networks), ("loss", losses)):
                for place, module in enumerate(modules):
                    yield f"{kind}.{number}.{place}", module

    def _parameters(self) -> Iterator[nn.Parameter]:
        for group in self.optimiser.param_groups:
            yield from group["params"]


def _array(value: Tensor) -> NDArray[Any]:
    array: NDArray[Any] = value.detach().cpu().contiguous().numpy().copy()
    return array


def _laid_out_as(parameter: Tensor, value: Tensor) -> Tensor:
    """Return ``value`` where and as ``parameter`` lies in memory, channels last or not."""
    return torch.empty_like(parameter).copy_(value)
