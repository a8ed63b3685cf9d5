"""Where the networks of a workspace or of a benchmark start: files, torchvision's weights, or scratch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from continual_dml.errors import SettingsError, UnknownChoice

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from continual_dml.settings import ModelSettings

SCRATCH, IMAGENET = "none", "imagenet"


@dataclass(frozen=True, slots=True, eq=False)
class StartingWeights:
    """Initial weights of all members in one mapping, or None for random ones, and where they come from.

    Further members' own weights stand under names that begin with ``<member>:``, as
    :func:`continual_dml.embedding.cohort.weights_of_member` wants them.
    """

    tensors: dict[str, NDArray[Any]] | None
    note: dict[str, Any]


def starting_weights(
    model: ModelSettings, weights: str | None, of_further: Sequence[str | None] = ()
) -> StartingWeights:
    """Return the weights that each network starts from, once each could be built from its own.

    Args:
        model: names the backbones.
        weights: of the first member: ``none``, ``imagenet`` (may download), a file, or None for ImageNet from
            the cache folder.
        of_further: the same for each further member, or empty: they then share a file with the first where
            their backbone is the same, and have ImageNet weights of their own otherwise.

    Raises:
        SettingsError: a network or weights that cannot be used.
    """
    from continual_dml.embedding.backbones import backbone_names
    from continual_dml.embedding.cohort import build_member

    names = backbone_names()
    for backbone in model.backbones:
        if backbone not in names:
            raise UnknownChoice("backbone", backbone, names)
    _check_asked(model, weights, of_further)
    tensors, note = _load(model, 0, weights)
    members: list[dict[str, Any]] = []
    for number in range(1, model.cohort):
        own, own_note = None, note
        if of_further or model.backbones[number] != model.backbone:
            own, own_note = _load(model, number, _source(model, number, weights, of_further))
        if own is not None and tensors is not None:
            tensors |= {f"{number}:{name}": value for name, value in own.items()}
        members.append({"backbone": model.backbones[number], **own_note})
    for number in range(model.cohort):
        build_member(model, tensors, number, seed=0)
    return StartingWeights(tensors, {**note, "members": members} if note and members else note)


def without_download(weights: str | None) -> str | None:
    """Return where weights come from that must not be downloaded: ``imagenet`` is the cache folder then."""
    return None if weights == IMAGENET else weights


def _check_asked(model: ModelSettings, weights: str | None, of_further: Sequence[str | None]) -> None:
    if not of_further:
        return
    if len(of_further) != model.cohort - 1:
        raise SettingsError(
            f"{len(of_further)} of --cohort-weights for a cohort of {model.cohort}; name weights for each "
            "member but the first, whose own are --weights"
        )
    if weights == SCRATCH or SCRATCH in of_further:
        raise SettingsError(
            "members from scratch and members with weights cannot be mixed; give weights to all members, or "
            "--weights none alone"
        )


def _source(
    model: ModelSettings, number: int, weights: str | None, of_further: Sequence[str | None]
) -> str | None:
    """Return where a further member's own weights come from."""
    if of_further:
        return of_further[number - 1]
    if weights not in (None, IMAGENET, SCRATCH):
        raise SettingsError(
            f"the weights {weights} are those of {model.backbone}, and a further member is "
            f"{model.backbones[number]}; give --cohort-weights FILE,... with one for each further member"
        )
    return weights


def _load(
    model: ModelSettings, member: int, weights: str | None
) -> tuple[dict[str, NDArray[Any]] | None, dict[str, Any]]:
    """Return a member's weights, or None for random ones, and where they come from.

    Whatever else a file holds is left out: nothing of it gets into the workspace, not even its name.
    """
    from continual_dml.embedding.weights import (
        imagenet_weights,
        read_weights_file,
        sha256_of,
        weights_of_backbone,
    )

    if weights == SCRATCH:
        return None, {}
    backbone, side = model.backbones[member], model.image_side_pixels
    if weights is None or weights == IMAGENET:
        found, note = imagenet_weights(backbone, download=weights == IMAGENET), {"source": IMAGENET}
    else:
        path = Path(weights)
        found, note = read_weights_file(path), {"source": path.name, "source_sha256": sha256_of(path)}
    return weights_of_backbone(found, backbone, side), note
