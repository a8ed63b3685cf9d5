"""Which images make a batch, and which pairs or triplets of it are worth a gradient."""

from continual_dml.miners.all_triplets import all_triplets
from continual_dml.miners.batch_hard import batch_hard
from continual_dml.miners.competing_pairs import competing_pairs
from continual_dml.miners.distance_weighted import DistanceWeighted
from continual_dml.miners.semi_hard import semi_hard
from continual_dml.miners.triplets import TripletMiner, Triplets
from continual_dml.strategies.sampling import balanced_batches

__all__ = [
    "DistanceWeighted",
    "TripletMiner",
    "Triplets",
    "all_triplets",
    "balanced_batches",
    "batch_hard",
    "competing_pairs",
    "semi_hard",
]
