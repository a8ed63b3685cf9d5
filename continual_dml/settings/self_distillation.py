"""How a network learns from what it was a little earlier."""

from __future__ import annotations

from dataclasses import dataclass

from continual_dml.settings.checks import between, choice

SELF_DISTILLATIONS = ("none", "psd", "obd")
SELF_DISTILLATION_TEACHERS = ("snapshot", "memory")


@dataclass(frozen=True, slots=True)
class SelfDistillationSettings:
    """Progressive self-distillation, plain (``psd``) or with online batch diffusion (``obd``).

    ``weight`` is lambda, reached linearly at the end of a task; ``temperature`` is tau; ``diffusion`` is w
    and ``diffusion_temperature`` tau_d; ``symmetric`` normalises the diffused graph on both sides.

    The teacher is renewed every ``renew_steps`` steps (None: once per pass over the images, and at least
    three times in a task); there is none before the first time. A ``snapshot`` looks at the student's own
    view of the batch and costs a forward pass; a ``memory`` is what the student itself said of the same
    images when it saw them last, which costs nothing.
    """

    kind: str = "none"
    weight: float = 20.0
    temperature: float = 1.0
    diffusion: float = 0.3
    diffusion_temperature: float = 1.0
    symmetric: bool = False
    teacher: str = "snapshot"
    renew_steps: int | None = None

    def __post_init__(self) -> None:
        choice("self-distillation", self.kind, SELF_DISTILLATIONS)
        between("self-distillation weight", self.weight, 0.0, 1e6)
        between("self-distillation temperature", self.temperature, 1e-4, 1e4)
        between("self-distillation diffusion", self.diffusion, 0.0, 0.9999)
        between("self-distillation diffusion temperature", self.diffusion_temperature, 1e-4, 1e4)
        choice("self-distillation teacher", self.teacher, SELF_DISTILLATION_TEACHERS)
        if self.renew_steps is not None:
            between("self-distillation renew-steps", self.renew_steps, 1, 10_000_000)
