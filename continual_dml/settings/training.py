"""How one task is learned."""

from __future__ import annotations

from dataclasses import dataclass, field

from continual_dml.errors import SettingsError
from continual_dml.settings.checks import between, choice, whole
from continual_dml.settings.cohort import CohortSettings
from continual_dml.settings.objective import ObjectiveWeights
from continual_dml.settings.self_distillation import SelfDistillationSettings

METHODS = (
    "mutual-distillation",
    "online-mutual-distillation",
    "finetune",
    "frozen",
    "relation-distillation",
    "feature-distillation",
    "lwf",
    "mmd",
)
HEADS = ("auto", "statistics", "trained")
LOSSES = (
    "multi-similarity",
    "triplet",
    "contrastive",
    "margin",
    "hard-mining",
    "binomial-deviance",
    "n-pair",
    "supcon",
    "proxy-anchor",
    "proxy-nca",
    "soft-triple",
    "normalised-softmax",
    "arcface",
)
TRIPLET_MINERS = ("batch-hard", "semi-hard", "distance-weighted", "all")
REFRESH_MODES = ("auto", "reembed", "project", "keep")
REFRESH_AGAIN = ("auto", "reembed", "project")
"""What can be done without a task: what is left as it is needs no command."""
PRECISIONS = ("auto", "fp32", "bf16")
DEVICES = ("auto", "cpu", "cuda")
PRETRAINED_RATE = 1e-4
SCRATCH_RATE = 2e-3
PRETRAINED_SHARE = 0.0
SCRATCH_SHARE = 0.5
CLASS_RANK = 8


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """How one task is learned.

    ``smallest_share`` is the least that a task's training counts in the averaged weights; None takes 0 for a
    pretrained network and 0.5 for one from scratch, which has more to learn. ``learning_rate`` is the
    backbone's; None takes 0.0001 for a pretrained and 0.002 for a random one. ``drift_strength`` and
    ``output_drift_strength`` hold drift maps back towards the identity; None chooses on held-out categories.
    ``drift_views``: so many distorted views of each new image tell how the features of any image move.
    ``train_stages``: only so many of each network's last stages, between two changes of resolution, are
    trained, and the projection; None trains all. ``chunk_images``: so many images go through a network at
    once, where a batch is larger than memory; None takes the whole batch.
    ``class_rank`` is how many directions of a class's own covariance are kept at most; 0 keeps none.
    """

    method: str = "mutual-distillation"
    head: str = "auto"
    loss: str = "multi-similarity"
    miner: str = "batch-hard"
    steps: int | None = None
    epochs: float | None = None
    batch_categories: int = 15
    images_per_category: int = 4
    chunk_images: int | None = None
    train_stages: int | None = None
    learning_rate: float | None = None
    head_learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    flip: bool = True
    smallest_crop: float = 1.0
    averaging: bool = True
    smallest_share: float | None = None
    objective: ObjectiveWeights = field(default_factory=ObjectiveWeights)
    cohort: CohortSettings = field(default_factory=CohortSettings)
    self_distillation: SelfDistillationSettings = field(default_factory=SelfDistillationSettings)
    head_shrinkage: float = 0.5
    drift_strength: float | None = None
    output_drift_strength: float | None = None
    drift_views: int = 2
    class_rank: int = CLASS_RANK
    precision: str = "auto"
    device: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        choice("method", self.method, METHODS)
        choice("head", self.head, HEADS)
        choice("loss", self.loss, LOSSES)
        choice("miner", self.miner, TRIPLET_MINERS)
        choice("precision", self.precision, PRECISIONS)
        choice("device", self.device, DEVICES)
        if self.steps is not None and self.epochs is not None:
            raise SettingsError("give either --steps or --epochs, not both")
        if self.steps is not None:
            between("steps", self.steps, 1, 10_000_000)
        if self.epochs is not None:
            between("epochs", self.epochs, 1e-3, 100_000)
        between("batch-categories", self.batch_categories, 2, 4096)
        between("images-per-category", self.images_per_category, 2, 512)
        if self.chunk_images is not None:
            whole("chunk-images", self.chunk_images, 1, 1_000_000)
        if self.train_stages is not None:
            whole("train-stages", self.train_stages, 1, 64)
        if self.learning_rate is not None:
            between("learning-rate", self.learning_rate, 0.0, 1e9)
        between("head-learning-rate", self.head_learning_rate, 0.0, 1e9)
        between("weight-decay", self.weight_decay, 0.0, 1e3)
        between("head-shrinkage", self.head_shrinkage, 1e-6, 1e6)
        for name in ("drift_strength", "output_drift_strength"):
            strength = getattr(self, name)
            if strength is not None:
                between(name.replace("_", "-"), strength, 1e-9, 1e9)
        whole("class-rank", self.class_rank, 0, 256)
        whole("drift-views", self.drift_views, 0, 64)
        between("smallest-crop", self.smallest_crop, 0.05, 1.0)
        if self.smallest_share is not None:
            between("smallest-share", self.smallest_share, 0.0, 1.0)
        between("seed", self.seed, 0, 2**63 - 1)

    def backbone_rate(self, *, pretrained: bool) -> float:
        """Return the backbone's learning rate."""
        if self.learning_rate is not None:
            return self.learning_rate
        return PRETRAINED_RATE if pretrained else SCRATCH_RATE

    def averaging_floor(self, *, pretrained: bool) -> float:
        """Return the least that a task's training counts in the averaged weights."""
        if self.smallest_share is not None:
            return self.smallest_share
        return PRETRAINED_SHARE if pretrained else SCRATCH_SHARE

    @property
    def uses_statistics_head(self) -> bool:
        """Whether embeddings come from the discriminant head instead of the trained projection."""
        if self.head == "auto":
            return self.method in ("mutual-distillation", "frozen")
        return self.head == "statistics"
