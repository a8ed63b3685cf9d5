"""Frozen, validated settings. Units stand in the names; defaults are the recipe of docs/methods.md."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from continual_dml.errors import SettingsError, UnknownChoice

METHODS = ("mutual-distillation", "finetune", "frozen", "relation-distillation", "feature-distillation")
HEADS = ("auto", "statistics", "trained")
LOSSES = ("multi-similarity", "triplet", "contrastive", "proxy-anchor")
TRIPLET_MINERS = ("batch-hard", "semi-hard")
REFRESH_MODES = ("auto", "reembed", "project", "keep")
FEATURE_MAPS = ("auto", "sqrt", "plain")
PRECISIONS = ("auto", "fp32", "bf16")
DEVICES = ("auto", "cpu", "cuda")


def _choice(what: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UnknownChoice(what, value, choices)


def _between(what: str, value: float, low: float, high: float) -> None:
    if not (math.isfinite(value) and low <= value <= high):
        raise SettingsError(f"{what} is {value:g}; it must lie between {low:g} and {high:g}")


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """The network. Fixed when the workspace is made, because every stored feature depends on it."""

    backbone: str = "mobilenet_v2"
    pretrained: bool = True
    embedding_dim: int = 128
    image_side_pixels: int = 224
    feature_map: str = "auto"
    freeze_batch_norm: str = "auto"

    def __post_init__(self) -> None:
        _between("embedding-dim", self.embedding_dim, 2, 4096)
        _between("image-side", self.image_side_pixels, 16, 1024)
        _choice("feature map", self.feature_map, FEATURE_MAPS)
        _choice("freeze-batch-norm", self.freeze_batch_norm, ("auto", "yes", "no"))

    @property
    def takes_square_root(self) -> bool:
        """Whether features are passed through sign(p) sqrt|p|."""
        return self.pretrained if self.feature_map == "auto" else self.feature_map == "sqrt"

    @property
    def batch_norm_is_frozen(self) -> bool:
        """Whether batch norm keeps its statistics and scale while training."""
        return self.pretrained if self.freeze_batch_norm == "auto" else self.freeze_batch_norm == "yes"

    @property
    def stored_side_pixels(self) -> int:
        """Side of the decoded squares: one eighth larger than what the network sees, for random crops."""
        return round(self.image_side_pixels * 1.125)


@dataclass(frozen=True, slots=True)
class ObjectiveWeights:
    """Weights of the terms of the objective; docs/methods.md shows the sum."""

    old_relations: float = 10.0
    mutual: float = 5.0
    virtual: float = 1.0
    anchor: float = 0.2
    relation_temperature: float = 4.0

    def __post_init__(self) -> None:
        for item in fields(self):
            _between(item.name, getattr(self, item.name), 0.0, 1e6)
        _between("relation_temperature", self.relation_temperature, 1e-3, 1e3)


PRETRAINED_RATE = 1e-4
SCRATCH_RATE = 2e-3


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """How one task is learned.

    ``learning_rate`` is the backbone's; None takes 0.0001 for a pretrained and 0.002 for a random one.
    """

    method: str = "mutual-distillation"
    head: str = "auto"
    loss: str = "multi-similarity"
    miner: str = "batch-hard"
    steps: int | None = None
    epochs: float | None = None
    batch_categories: int = 15
    images_per_category: int = 4
    learning_rate: float | None = None
    head_learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    flip: bool = True
    smallest_crop: float = 1.0
    averaging: bool = True
    objective: ObjectiveWeights = field(default_factory=ObjectiveWeights)
    head_shrinkage: float = 0.3
    drift_strength: float = 10.0
    output_drift_strength: float = 0.01
    precision: str = "auto"
    device: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        _choice("method", self.method, METHODS)
        _choice("head", self.head, HEADS)
        _choice("loss", self.loss, LOSSES)
        _choice("miner", self.miner, TRIPLET_MINERS)
        _choice("precision", self.precision, PRECISIONS)
        _choice("device", self.device, DEVICES)
        if self.steps is not None and self.epochs is not None:
            raise SettingsError("give either --steps or --epochs, not both")
        if self.steps is not None:
            _between("steps", self.steps, 1, 10_000_000)
        if self.epochs is not None:
            _between("epochs", self.epochs, 1e-3, 100_000)
        _between("batch-categories", self.batch_categories, 2, 4096)
        _between("images-per-category", self.images_per_category, 2, 512)
        if self.learning_rate is not None:
            _between("learning-rate", self.learning_rate, 0.0, 1e9)
        _between("head-learning-rate", self.head_learning_rate, 0.0, 1e9)
        _between("weight-decay", self.weight_decay, 0.0, 1e3)
        _between("head-shrinkage", self.head_shrinkage, 1e-6, 1e6)
        _between("drift-strength", self.drift_strength, 1e-9, 1e9)
        _between("output-drift-strength", self.output_drift_strength, 1e-9, 1e9)
        _between("smallest-crop", self.smallest_crop, 0.05, 1.0)
        _between("seed", self.seed, 0, 2**63 - 1)

    def backbone_rate(self, *, pretrained: bool) -> float:
        """Return the backbone's learning rate."""
        if self.learning_rate is not None:
            return self.learning_rate
        return PRETRAINED_RATE if pretrained else SCRATCH_RATE

    @property
    def uses_statistics_head(self) -> bool:
        """Whether embeddings come from the discriminant head instead of the trained projection."""
        if self.head == "auto":
            return self.method in ("mutual-distillation", "frozen")
        return self.head == "statistics"


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """What counts as a usable image, and how queries are held out."""

    query_fraction: float = 0.2
    queries_per_category: int = 100
    max_file_bytes: int = 64 * 2**20
    max_pixels: int = 40_000_000
    max_files: int = 5_000_000
    decode_threads: int = 0

    def __post_init__(self) -> None:
        _between("query-fraction", self.query_fraction, 0.0, 0.9)
        _between("queries-per-category", self.queries_per_category, 1, 1_000_000)
        _between("max-file-bytes", self.max_file_bytes, 1, 2**40)
        _between("max-pixels", self.max_pixels, 1, 2**40)
        _between("max-files", self.max_files, 1, 2**40)
        _between("decode-threads", self.decode_threads, 0, 1024)


@dataclass(frozen=True, slots=True)
class EvaluationSettings:
    """What is reported after each task."""

    recall_at: tuple[int, ...] = (1, 2, 4, 8)

    def __post_init__(self) -> None:
        if not self.recall_at or any(k < 1 for k in self.recall_at):
            raise SettingsError("recall_at needs at least one K of 1 or more")


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a workspace; one section of ``cdml.toml`` each."""

    model: ModelSettings = field(default_factory=ModelSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    streams: StreamSettings = field(default_factory=StreamSettings)
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)

    def as_dict(self) -> dict[str, Any]:
        """Return nested plain values, ready for JSON or TOML (None values are left out)."""
        return _without_none(asdict(self))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Settings:
        """Build settings from nested plain values.

        Raises:
            SettingsError: a section, a name or a value that cannot be.
        """
        built: Settings = _build(cls, values, "")
        return built


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _without_none(value) if isinstance(value, Mapping) else _plain(value)
        for name, value in values.items()
        if value is not None
    }


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


_SECTIONS: dict[str, type] = {
    "model": ModelSettings,
    "training": TrainingSettings,
    "streams": StreamSettings,
    "evaluation": EvaluationSettings,
    "objective": ObjectiveWeights,
}


def _build(target: type, values: Mapping[str, Any], where: str) -> Any:  # noqa: ANN401 - the target's own type
    known = {item.name: item for item in fields(target)}
    arguments: dict[str, Any] = {}
    for name, value in values.items():
        if name not in known:
            raise UnknownChoice(f"setting in [{where or 'top'}]", name, known)
        if name in _SECTIONS and isinstance(value, Mapping):
            arguments[name] = _build(_SECTIONS[name], value, name)
        else:
            arguments[name] = tuple(value) if isinstance(value, list) else value
    try:
        return target(**arguments)
    except TypeError as error:
        raise SettingsError(f"a value in [{where or 'top'}] has the wrong type: {error}") from error
