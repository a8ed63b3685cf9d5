"""Triplet miners: which (anchor, positive, negative) of a batch are worth a gradient. One idea per file."""

from __future__ import annotations

from continual_dml.errors import UnknownChoice
from continual_dml.miners.batch_hard import batch_hard
from continual_dml.miners.semi_hard import semi_hard
from continual_dml.miners.triplets import TripletMiner

MINERS: dict[str, TripletMiner] = {"batch-hard": batch_hard, "semi-hard": semi_hard}


def miner_named(name: str) -> TripletMiner:
    """Return the miner called ``name``.

    Raises:
        UnknownChoice: there is none of that name.
    """
    if name not in MINERS:
        raise UnknownChoice("miner", name, MINERS)
    return MINERS[name]
