"""Miners: which pairs or triplets of a batch are worth a gradient. One idea per file.

The mapping names those that choose triplets; it makes each for embeddings of D dimensions.
"""

from __future__ import annotations

from collections.abc import Callable

from continual_dml.errors import UnknownChoice
from continual_dml.miners.all_triplets import all_triplets
from continual_dml.miners.batch_hard import batch_hard
from continual_dml.miners.distance_weighted import DistanceWeighted
from continual_dml.miners.semi_hard import semi_hard
from continual_dml.miners.triplets import TripletMiner

MinerFactory = Callable[[int], TripletMiner]

MINERS: dict[str, MinerFactory] = {
    "batch-hard": lambda dimension: batch_hard,
    "semi-hard": lambda dimension: semi_hard,
    "distance-weighted": DistanceWeighted,
    "all": lambda dimension: all_triplets,
}


def make_miner(name: str, dimension: int) -> TripletMiner:
    """Return the miner called ``name`` for embeddings (B, ``dimension``).

    Raises:
        UnknownChoice: there is none of that name.
    """
    if name not in MINERS:
        raise UnknownChoice("miner", name, MINERS)
    return MINERS[name](dimension)
