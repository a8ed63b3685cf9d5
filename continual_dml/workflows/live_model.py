"""The networks of the generation that is being built, and what they make of features stored earlier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from continual_dml.embedding.cohort import restore_members
from continual_dml.embedding.embedder import Embedder
from continual_dml.embedding.precision import Compute, choose_compute
from continual_dml.errors import SettingsError
from continual_dml.ports import Artefacts, Shards
from continual_dml.records import VectorState
from continual_dml.settings import Settings
from continual_dml.strategies.carrying import Carrying
from continual_dml.strategies.heads import Head
from continual_dml.strategies.state import LearnerState
from continual_dml.workflows.state_files import stored_state


@dataclass(frozen=True, slots=True, eq=False)
class LiveModel:
    """What it takes to embed images now, and to carry stored features forward to now.

    ``generation``: that is being built; ``carrying`` is of ``state``. ``moved`` is False when the weights are
    those of the generation before: features that were fresh then still are. ``shards`` keep what it has
    embedded already.
    """

    generation: int
    embedders: Sequence[Embedder]
    head: Head
    state: LearnerState
    carrying: Carrying
    compute: Compute
    moved: bool = True
    shards: Shards | None = None

    def state_of(self, before: VectorState) -> VectorState:
        """Return the state of a part's vectors once they were carried forward: fresh where nothing moved."""
        exact = not self.moved and before is VectorState.FRESH
        return VectorState.FRESH if exact else VectorState.PROJECTED


def unmoved_model(
    parent: Artefacts, generation: int, settings: Settings, shards: Shards | None = None
) -> LiveModel:
    """Return the model of ``parent`` for a ``generation`` that is built on it without learning.

    Args:
        parent: the live generation's files.
        generation: that is being built.
        settings: see :func:`settings_of`.
        shards: keep what is embedded.

    Raises:
        CorruptIndex: a file of the parent is missing or damaged.
        SettingsError: the device is not there.
    """
    training, model = settings.training, settings.model
    compute = choose_compute(training.device, training.precision)
    state = stored_state(parent, model.cohort)
    embedders = restore_members(model, [member.weights for member in state.members])
    head = head_of(state, settings)
    on_device = [embedder.to(compute.device).eval() for embedder in embedders]
    carrying = Carrying(state, settings)
    return LiveModel(generation, on_device, head, state, carrying, compute, moved=False, shards=shards)


def head_of(state: LearnerState, settings: Settings) -> Head:
    """Return the head that makes vectors of what the networks of ``state`` see."""
    training, model = settings.training, settings.model
    return state.live_head(statistics_head=training.uses_statistics_head, square_root=model.takes_square_root)


def settings_of(parent: Artefacts, current: Settings) -> Settings:
    """Return the settings of ``parent``; ``current`` says where to compute and what to measure."""
    published = Settings.from_dict(parent.config["settings"])
    device, precision = current.training.device, current.training.precision
    training = replace(published.training, device=device, precision=precision)
    return replace(published, training=training, evaluation=current.evaluation, gate=current.gate)


def require_same_model(config: Mapping[str, Any], settings: Settings) -> None:
    """Accept settings that name the network of the generation whose ``config`` is given.

    Raises:
        SettingsError: they name another one.
    """
    now = settings.as_dict()["model"]
    for name, earlier in config["settings"]["model"].items():
        if now.get(name) != earlier:
            raise SettingsError(
                f"the workspace was built with {name} {earlier}, and cdml.toml says {now.get(name)}: "
                "the network is fixed at `cdml init`, set it back or make a new workspace"
            )
