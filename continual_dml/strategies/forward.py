"""One batch through all networks of a task, up to the terms of the objective."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from continual_dml.embedding.precision import Compute
from continual_dml.embedding.preprocessing import training_views
from continual_dml.strategies.chunks import embedded
from continual_dml.strategies.earlier_self import EarlierSelf
from continual_dml.strategies.hooks import StepHooks
from continual_dml.strategies.job import TrainingJob
from continual_dml.strategies.kept_views import KeptBatch
from continual_dml.strategies.members import Member
from continual_dml.strategies.named_state import below
from continual_dml.strategies.objective import Batch, objective
from continual_dml.strategies.peers import Peers
from continual_dml.strategies.prefetch import PixelBatch


class ForwardPass:
    """Turns rows of the task into the weighted terms of the objective, summed over members.

    Args:
        job: what is trained on what.
        losses: the metric losses of each member's networks, in the order of ``Member.networks``.
        compute: device and precision.
        random: where views come from that are made anew.
        hooks: told of the first member's pass.
    """

    def __init__(
        self,
        job: TrainingJob,
        losses: Sequence[Sequence[nn.Module]],
        compute: Compute,
        random: np.random.Generator,
        hooks: StepHooks,
    ) -> None:
        self._job = job
        self._losses = losses
        self._compute = compute
        self.random = random
        self._hooks = hooks
        models = [member.model for member in job.members]
        self._chunk = job.settings.chunk_images
        self.peers = Peers(models, job.settings.cohort, self._chunk)
        self._selves = [self._earlier_self(member) for member in job.members]
        self._class_means = [
            _on_device(member.teachers.class_means, compute.device) for member in job.members
        ]

    def state(self) -> dict[str, Tensor]:
        """Return what peers and earlier selves know, by name."""
        named = {f"peers.{name}": value for name, value in self.peers.state().items()}
        for number, earlier in enumerate(self._selves):
            if earlier is not None:
                named |= {f"selves.{number}.{name}": value for name, value in earlier.state().items()}
        return named

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go back to what :meth:`state` returned."""
        self.peers.restore(below(state, "peers."))
        for number, earlier in enumerate(self._selves):
            if earlier is not None:
                earlier.restore(below(state, f"selves.{number}."))

    def terms(self, step: int, images: PixelBatch | KeptBatch) -> dict[str, Tensor]:
        """Return the terms by name of step ``step`` (from 0) on some images of the task.

        A member that is not updated in this step only serves as a peer, and looks at nothing where it does
        not. Its weights stay; statistics of batch norm count what it looks at.
        """
        rows = images.rows
        labels = torch.from_numpy(self._job.images.labels[rows]).to(self._compute.device)
        seen = self._seen(images)
        views = [of_networks[0] for of_networks in seen]
        numbers = range(len(self._job.members))
        due = [number for number in numbers if self._job.is_due(number, step)]
        looking = numbers if self.peers.are_members else due
        self._hooks.before_forward(views[0], labels)
        embeddings = {number: self._embed(number, views[number], number in due) for number in looking}
        embeddings[0] = self._hooks.after_forward(embeddings[0])
        peers = self.peers.of_each(views, embeddings, self._compute)
        terms = []
        for number in due:
            batch = self._batch(number, step, rows, labels, seen[number], embeddings[number], peers[number])
            losses = self._losses[number]
            specialist_loss = losses[1] if len(losses) > 1 else None
            terms.append(objective(batch, self._job.recipe, self._job.settings, losses[0], specialist_loss))
        return _summed(terms)

    def _seen(self, images: PixelBatch | KeptBatch) -> list[tuple[Tensor, ...]]:
        """Return what each network of each member looks at."""
        if isinstance(images, KeptBatch):
            return images.on_device(self._compute.device)
        views = self._views(images.pixels)
        return [(view,) * len(member.networks) for view, member in zip(views, self._job.members, strict=True)]

    def _views(self, pixels: Tensor) -> list[Tensor]:
        """Return what each member sees: a crop of its own, or the same one for all."""
        job = self._job
        own = job.settings.cohort.own_views
        views: list[Tensor] = []
        for member in job.members:
            if views and not own:
                views.append(views[0])
                continue
            views.append(
                training_views(
                    pixels,
                    member.model.settings.image_side_pixels,
                    flip=job.settings.flip,
                    smallest_crop=job.settings.smallest_crop,
                    random=self.random,
                    device=self._compute.device,
                )
            )
        return views

    def _embed(self, number: int, view: Tensor, due: bool) -> Tensor:
        with torch.set_grad_enabled(due):
            return embedded(self._job.members[number].model, view, self._compute, self._chunk)

    def _batch(
        self,
        number: int,
        step: int,
        rows: NDArray[np.intp],
        labels: Tensor,
        seen: tuple[Tensor, ...],
        embeddings: Tensor,
        peers: tuple[Tensor, ...],
    ) -> Batch:
        member, device = self._job.members[number], self._compute.device
        specialist = None
        if member.specialist is not None:
            specialist = embedded(member.specialist, seen[1], self._compute, self._chunk)
        teachers, earlier = member.teachers, self._selves[number]
        return Batch(
            labels=labels,
            model=embeddings,
            specialist=specialist,
            old=None if teachers.old is None else _on_device(teachers.old[rows], device),
            virtual=tuple(torch.from_numpy(virtual[rows]).to(device) for virtual in teachers.virtual),
            old_class_means=self._class_means[number],
            peers=peers,
            earlier_relations=earlier.relations(step, seen[0], torch.from_numpy(rows), embeddings)
            if earlier
            else None,
            cohort_ramp=self._cohort_ramp(step),
            self_ramp=earlier.ramp(step) if earlier else 0.0,
        )

    def _cohort_ramp(self, step: int) -> float:
        over = self._job.settings.cohort.ramp * self._job.steps()
        return min(1.0, (step + 1) / over) if over >= 1 else 1.0

    def _earlier_self(self, member: Member) -> EarlierSelf | None:
        job = self._job
        if job.settings.self_distillation.kind == "none":
            return None
        return EarlierSelf(
            member.model,
            job.settings.self_distillation,
            job.steps(),
            job.pass_steps(),
            len(job.images),
            self._compute,
            self._chunk,
        )


def _on_device(values: NDArray[np.float32] | None, device: torch.device) -> Tensor | None:
    return None if values is None else torch.from_numpy(values).to(device)


def _summed(members: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    total: dict[str, Tensor] = {}
    for terms in members:
        for name, term in terms.items():
            total[name] = total[name] + term if name in total else term
    return total
