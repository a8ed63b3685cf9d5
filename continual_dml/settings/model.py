"""The network, fixed when a workspace is made."""

from __future__ import annotations

from dataclasses import dataclass, replace

from continual_dml.errors import SettingsError
from continual_dml.settings.checks import between, choice

FEATURE_MAPS = ("auto", "sqrt", "plain")
ENSEMBLES = ("concatenated", "pca")


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """The network. Fixed when the workspace is made, because every stored feature depends on it.

    ``cohort`` is the number of members that learn together and answer queries together. Member m has backbone
    ``cohort_backbones[m - 1]`` where that tuple is not empty (it then names one for each further member),
    else the same backbone. With ``cohort_own_seeds`` each member draws what is not pretrained (at least its
    projection) from a seed of its own; without, members differ in their views alone. Their unit embeddings
    are ``concatenated`` (cohort times ``embedding_dim`` numbers), or reduced to ``embedding_dim`` by ``pca``.
    """

    backbone: str = "mobilenet_v2"
    pretrained: bool = True
    embedding_dim: int = 128
    image_side_pixels: int = 224
    feature_map: str = "auto"
    freeze_batch_norm: str = "auto"
    cohort: int = 1
    cohort_backbones: tuple[str, ...] = ()
    cohort_own_seeds: bool = True
    ensemble: str = "concatenated"

    def __post_init__(self) -> None:
        between("embedding-dim", self.embedding_dim, 2, 4096)
        between("image-side", self.image_side_pixels, 16, 1024)
        choice("feature map", self.feature_map, FEATURE_MAPS)
        choice("freeze-batch-norm", self.freeze_batch_norm, ("auto", "yes", "no"))
        between("cohort", self.cohort, 1, 16)
        choice("ensemble", self.ensemble, ENSEMBLES)
        if self.cohort_backbones and len(self.cohort_backbones) != self.cohort - 1:
            raise SettingsError(
                f"{len(self.cohort_backbones)} further backbones for a cohort of {self.cohort}; "
                "name one for each member but the first, or none"
            )

    @property
    def backbones(self) -> tuple[str, ...]:
        """Backbone of each member."""
        return (self.backbone, *(self.cohort_backbones or (self.backbone,) * (self.cohort - 1)))

    def of_member(self, member: int) -> ModelSettings:
        """Return the settings of one member's network."""
        return replace(self, backbone=self.backbones[member], cohort=1, cohort_backbones=())

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
