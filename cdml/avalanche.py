"""For users of Avalanche: the learner as a strategy, its metrics for evaluators, and benchmarks both ways.

Avalanche takes seconds to import, and is imported when this is.
"""

from continual_dml.strategies.avalanche_metrics import RetrievalMetric, retrieval_evaluator
from continual_dml.strategies.avalanche_strategy import EmbeddingStrategy, ImagesOf
from streams.avalanche_bridge import as_avalanche_benchmark, from_avalanche, labelled_images

__all__ = [
    "EmbeddingStrategy",
    "ImagesOf",
    "RetrievalMetric",
    "as_avalanche_benchmark",
    "from_avalanche",
    "labelled_images",
    "retrieval_evaluator",
]
