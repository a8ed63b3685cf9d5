"""A network's earlier self as its teacher."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor

from continual_dml.distillation.batch_diffusion import diffused_target
from continual_dml.distillation.self_distillation import psd_target
from continual_dml.embedding.embedder import Embedder
from continual_dml.embedding.precision import Compute
from continual_dml.settings import SelfDistillationSettings
from continual_dml.strategies.chunks import embedded
from continual_dml.strategies.named_state import below

FEWEST_PERIODS = 4
_SNAPSHOT = "snapshot."


class EarlierSelf:
    """Says how the network related the images of a batch one period ago.

    A period is one pass over the task's images, or shorter where a task would otherwise have fewer than four
    of them; with ``renew_steps`` it is that many steps, and a task that ends before has no teacher. A student
    that is not updated at every step renews its teacher at its first step of a period.

    The teacher is a ``snapshot`` from the end of the period before, which looks at the very view that the
    student sees; or a ``memory`` of what the student said of each image when it saw it last before that
    period ended, and of images not seen by then what it says now.

    Source: Self-distillation with Online Diffusion on Batch Manifolds (arXiv 2211.07566); docs/methods.md.

    Args:
        model: the student.
        settings: of the self-distillation.
        steps: optimisation steps of the task.
        pass_steps: steps that make one pass over the images.
        images: N, how many images the task has.
        compute: device and precision.
        chunk_images: see :func:`embedded`.
    """

    def __init__(
        self,
        model: Embedder,
        settings: SelfDistillationSettings,
        steps: int,
        pass_steps: int,
        images: int,
        compute: Compute,
        chunk_images: int | None = None,
    ) -> None:
        self._model = model
        self._chunk = chunk_images
        self._settings = settings
        self._compute = compute
        self._period = settings.renew_steps or max(1, min(pass_steps, steps // FEWEST_PERIODS))
        self._periods = -(-steps // self._period)
        self._passed = 0
        self._snapshot: Embedder | None = None
        self._images = images
        self._writing: Tensor | None = None
        self._reading: Tensor | None = None

    def ramp(self, step: int) -> float:
        """Return e/E: how many periods of all have passed before ``step`` (from 0)."""
        return (step // self._period) / self._periods

    def relations(self, step: int, view: Tensor, rows: Tensor, embeddings: Tensor) -> Tensor | None:
        """Return the target (B, B), rows summing to 1, or None in the first period.

        Call it in the order of the steps, once for each in which the student is updated.

        Args:
            step: from 0.
            view: (B, 3, S, S) what the student sees, or what its frozen trunk made of that.
            rows: (B,) which images of the task these are.
            embeddings: (B, D) what the student says of them.
        """
        if step // self._period > self._passed:
            self._passed = step // self._period
            self._renew()
        earlier = self._remembered(rows, embeddings.detach())
        if not self._passed:
            return None
        knobs = self._settings
        if self._snapshot is not None:
            with torch.no_grad():
                earlier = embedded(self._snapshot, view, self._compute, self._chunk)
        if knobs.kind == "psd":
            return psd_target(earlier, knobs.temperature)
        return diffused_target(
            earlier,
            knobs.temperature,
            knobs.diffusion,
            knobs.diffusion_temperature,
            symmetric=knobs.symmetric,
        )

    def state(self) -> dict[str, Tensor]:
        """Return what it remembers, by name."""
        found = {"passed": torch.tensor(self._passed)}
        if self._snapshot is not None:
            found |= {f"{_SNAPSHOT}{name}": value for name, value in self._snapshot.state_dict().items()}
        if self._writing is not None:
            found["writing"] = self._writing
        if self._reading is not None:
            found["reading"] = self._reading
        return found

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go back to what :meth:`state` returned."""
        self._passed = int(state["passed"])
        weights = below(state, _SNAPSHOT)
        if weights:
            self._snapshot = copy.deepcopy(self._model).requires_grad_(False)
            self._snapshot.load_state_dict(weights)
        device = self._compute.device
        self._writing, self._reading = (
            state[name].to(device) if name in state else None for name in ("writing", "reading")
        )

    def _renew(self) -> None:
        if self._settings.teacher == "snapshot":
            self._snapshot = copy.deepcopy(self._model).requires_grad_(False)
        elif self._writing is not None:
            self._reading = self._writing.clone()

    def _remembered(self, rows: Tensor, embeddings: Tensor) -> Tensor:
        """Return what is remembered of the images, then remember what is said of them now."""
        if self._settings.teacher == "snapshot":
            return embeddings
        if self._writing is None:
            empty = torch.zeros(self._images, embeddings.shape[1], device=embeddings.device)
            self._writing = empty.to(embeddings.dtype)
        self._writing[rows] = embeddings
        if self._reading is None:
            return embeddings
        known = self._reading[rows]
        return torch.where(known.any(dim=1, keepdim=True), known, embeddings)
