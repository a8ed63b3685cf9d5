"""The networks of a cohort, built, taken apart and restored together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from continual_dml.embedding.embedder import Embedder, build_embedder, restore_embedder
from continual_dml.errors import GalleryError
from continual_dml.settings import ModelSettings

Weights = Mapping[str, NDArray[Any]]


def build_member(settings: ModelSettings, pretrained: Weights | None, member: int, seed: int) -> Embedder:
    """Return a new network for ``member``; members of one backbone differ in the random part.

    Args:
        settings: of the cohort; without ``cohort_own_seeds`` every member draws from ``seed`` itself.
        pretrained: initial weights, see :func:`weights_of_member`.
        member: its number, from 0.
        seed: of the random weights; the first member's are what a single network would get.

    Raises:
        SettingsError: as :func:`build_embedder`.
    """
    same = member == 0 or not settings.cohort_own_seeds
    drawn = seed if same else int(np.random.SeedSequence([seed, member]).generate_state(1)[0])
    return build_embedder(settings.of_member(member), weights_of_member(pretrained, member), drawn)


def restore_members(settings: ModelSettings, weights: Sequence[Weights]) -> list[Embedder]:
    """Return the networks that ``weights``, one mapping for each member, were taken from.

    Raises:
        GalleryError: the weights belong to another network, or to another number of them.
    """
    if len(weights) != settings.cohort:
        raise GalleryError(
            f"the stored state has {len(weights)} networks, the settings say cohort = {settings.cohort}; "
            "was cdml.toml edited after `cdml init`?"
        )
    return [restore_embedder(settings.of_member(member), own) for member, own in enumerate(weights)]


def weights_of_member(pretrained: Weights | None, member: int) -> Weights | None:
    """Return the initial weights of one member.

    Weights of further backbones stand in the same mapping under names that begin with ``<member>:``; a member
    without any of its own has those of the first.

    >>> weights_of_member({"stem": 1, "1:stem": 2}, 0), weights_of_member({"stem": 1, "1:stem": 2}, 1)
    ({'stem': 1}, {'stem': 2})
    >>> weights_of_member({"stem": 1}, 1)
    {'stem': 1}
    """
    if pretrained is None:
        return None
    mark = f"{member}:"
    own = {name.removeprefix(mark): value for name, value in pretrained.items() if name.startswith(mark)}
    return own or {name: value for name, value in pretrained.items() if ":" not in name}
