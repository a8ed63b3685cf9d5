"""What the learner would keep of a stream, replayed from what benchmarks/stream_features.py looked at.

Statistics, head and drift come from the learner's own functions; only the training is not done again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.stream_features import VIEWS, Features, StreamFeatures
from continual_dml.embedding.extract import Extracted
from continual_dml.memory.drift_estimators.protocol import DriftEstimator
from continual_dml.settings import Settings
from continual_dml.strategies.remembering import first_memory, next_memory
from continual_dml.strategies.state import MemberState
from continual_dml.workflows.readouts import Vectors, merged, search_gallery

Floats = NDArray[np.float64]


def replayed(features: StreamFeatures, settings: Settings) -> list[MemberState]:
    """Return what the learner keeps after each task, without weights; task t leads to generation t."""
    memory = first_memory({}, _seen(features, 0, 0), features.train_labels[0], settings)
    memories = [memory]
    for task in range(1, features.tasks):
        seen = _seen(features, task - 1, task), _seen(features, task, task)
        memory, _ = next_memory(
            memory, {}, seen, features.train_labels[task], task=task, generation=task, settings=settings
        )
        memories.append(memory)
    return memories


@dataclass(frozen=True)
class Gallery:
    """The stream's queries and galleries by the heads of replayed memories."""

    features: StreamFeatures
    memories: list[MemberState]

    def reembedded(self) -> list[float]:
        """Return the merged Recall@1 after each later task with every image embedded anew."""
        return [
            self._recall(now, [self.memories[now].head(part) for part in self.features.train[now][: now + 1]])
            for now in range(1, self.features.tasks)
        ]

    def stale(self) -> list[float]:
        """Return it with old vectors left as the model and head of their birth made them."""
        births = [memory.head(self.features.train[j][j]) for j, memory in enumerate(self.memories)]
        return [self._recall(now, births[: now + 1]) for now in range(1, self.features.tasks)]

    def projected(self, estimator: DriftEstimator, *, on_views: bool = False) -> list[float]:
        """Return it with old features carried from their birth, task by task, each step by a new fit.

        Args:
            estimator: of each task's drift.
            on_views: fit it to distorted views of the task's images as well.
        """
        train, owners = self.features.train, self.features.train_labels
        carried: list[Floats] = []
        recalls = []
        for now in range(1, self.features.tasks):
            carried.append(as_stored(train[now - 1][now - 1]))
            carry = estimator(*self._pairs(now, on_views))
            carried = [carry(part, own) for part, own in zip(carried, owners, strict=False)]
            head = self.memories[now].head
            recalls.append(self._recall(now, [*(head(part) for part in carried), head(train[now][now])]))
        return recalls

    def _pairs(self, task: int, on_views: bool) -> tuple[Features, Features, NDArray[np.int64]]:
        """Return what the models before and after a task say of its images, and their categories."""
        before, after = (self.features.train[model][task] for model in (task - 1, task))
        labels = self.features.train_labels[task]
        if not on_views:
            return before, after, labels
        kept = VIEWS * len(before)
        view_before, view_after = (seen[:kept] for seen in self.features.views[task])
        before, after = np.concatenate([before, view_before]), np.concatenate([after, view_after])
        return before, after, np.tile(labels, len(before) // len(labels))

    def _recall(self, now: int, parts: list[NDArray[np.float32]]) -> float:
        """Return the mean over tasks of Recall@1 after task ``now``; the gallery is ``parts``."""
        owners = self.features.train_labels
        gallery = merged([Vectors(part, own) for part, own in zip(parts, owners, strict=False)])
        found = []
        for task in range(now + 1):
            asked = self.memories[now].head(self.features.query[now][task])
            metrics = search_gallery(Vectors(asked, self.features.query_labels[task]), gallery, (1,))
            found += [] if metrics is None else [metrics.recall[1]]
        return float(np.mean(found))


def as_stored(features: NDArray[np.float32]) -> Floats:
    """Return features with the precision that they are stored with."""
    return features.astype(np.float16).astype(np.float64)


def _seen(features: StreamFeatures, model: int, task: int) -> Extracted:
    seen = features.train[model][task]
    return Extracted(seen, np.zeros((len(seen), 1), dtype=np.float32))
