"""Distance-weighted sampling: negatives of all distances, not only the common ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from continual_dml.errors import SettingsError
from continual_dml.miners.triplets import Triplets
from continual_dml.similarity import pair_masks


class DistanceWeighted(nn.Module):
    """Draws one negative for each positive pair (anchor, positive), with weight 1/q(d) at distance d.

    ::

        q(d) = d^(D-2) (1 - d^2/4)^((D-3)/2),   d^2 = 2 - 2 s

    is how often a distance occurs between random points of the unit sphere in D dimensions. Distances below
    ``nearest`` weigh as much as ``nearest``, so that a few wrong labels do not take all draws; those of
    ``farthest`` and more are left out, as they cost nothing under the margin loss. An anchor whose negatives
    are all that far draws any of them with equal weight: its positives still need a partner.

    The draws come from a generator of its own on the CPU, seeded from torch's global one when the miner is
    made: after ``torch.manual_seed`` a run repeats itself, on every device, whatever else draws meanwhile.
    The miner is a module so that a ``state_dict`` holds the generator's state.

    Source: Wu, Manmatha, Smola, Krähenbühl 2017, "Sampling Matters in Deep Embedding Learning"
    (arXiv 1706.07567), section 4; the two bounds are those of the authors' code.

    Args:
        dimension: D, length of an embedding, at least 2.
        nearest: a distance.
        farthest: a distance.

    Raises:
        SettingsError: D is below 2, or not 0 < nearest < farthest < 2.
    """

    def __init__(self, dimension: int, nearest: float = 0.5, farthest: float = 1.4) -> None:
        super().__init__()
        if dimension < 2:
            raise SettingsError(
                f"distance-weighted miner: embeddings have {dimension} dimensions; a sphere needs 2 or more"
            )
        if not 0 < nearest < farthest < 2:
            raise SettingsError(
                f"distance-weighted miner: nearest is {nearest:g}, farthest {farthest:g}; unit vectors lie "
                "between 0 and 2 apart, and nearest must be below farthest"
            )
        self.dimension = dimension
        self.largest_cosine = 1 - nearest**2 / 2
        self.smallest_cosine = 1 - farthest**2 / 2
        self._random = torch.Generator().manual_seed(int(torch.randint(2**62, ())))

    @torch.no_grad()
    def forward(self, similarities: Tensor, labels: Tensor) -> Triplets:
        """Return one triplet for each positive pair whose anchor has a negative in the batch.

        Args:
            similarities: (B, B) cosines of the batch.
            labels: (B,) integers.

        >>> miner = DistanceWeighted(dimension=3)  # 3 dimensions: weight 1/d, cosines up to 1 - 1.4^2/2 = .02
        >>> cosines = torch.tensor([[1.0, 0.6, -0.3], [0.6, 1.0, 0.5], [-0.3, 0.5, 1.0]])
        >>> [part.tolist() for part in miner(cosines, torch.tensor([0, 0, 1]))]
        [[0, 1], [1, 0], [2, 2]]
        """
        positive, negative = pair_masks(labels)
        anchor, partner = (positive & negative.any(dim=1, keepdim=True)).nonzero(as_tuple=True)
        if not len(anchor):
            return Triplets(anchor, anchor, anchor)
        weights = self.log_weights(similarities, negative)[anchor]  # (P, B), P positive pairs
        # The largest of log-weights with Gumbel noise is one draw by those weights. Unlike
        # torch.multinomial it takes a similarity that is not a number instead of failing on it.
        noise = -torch.empty(weights.shape).exponential_(generator=self._random).log()
        return Triplets(anchor, partner, (weights + noise.to(weights.device)).argmax(dim=1))

    def get_extra_state(self) -> Tensor:
        """Return the generator's state, for ``state_dict``."""
        return self._random.get_state()

    def set_extra_state(self, state: Tensor) -> None:
        """Go on drawing as the generator did that ``state`` was taken from."""
        self._random.set_state(state)

    def log_weights(self, similarities: Tensor, negative: Tensor) -> Tensor:
        """Return log 1/q(d) up to a constant, (B, B); minus infinity where nothing may be drawn.

        Args:
            similarities: (B, B) cosines of the batch.
            negative: (B, B) bool, which pairs have different labels.
        """
        near = negative & ~(similarities <= self.smallest_cosine)
        cosines = similarities.clamp(min=self.smallest_cosine, max=self.largest_cosine)
        log_density = (self.dimension - 2) / 2 * (2 - 2 * cosines).log()
        log_density += (self.dimension - 3) / 2 * ((1 + cosines) / 2).log()  # 1 - d^2/4 = (1 + s)/2
        weights = torch.where(near.any(dim=1, keepdim=True), -log_density, torch.zeros_like(log_density))
        allowed = torch.where(near.any(dim=1, keepdim=True), near, negative)
        return weights.masked_fill(~allowed, float("-inf"))
