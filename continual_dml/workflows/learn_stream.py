"""Learn a whole stream with one method and measure it after every task, for comparing methods."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from continual_dml.embedding.extract import extract_each, side_by_side
from continual_dml.embedding.precision import Compute
from continual_dml.memory.discriminant_head import unit_rows
from continual_dml.memory.semantic_drift import compensated
from continual_dml.metrics.clustering import normalised_mutual_information
from continual_dml.ports import ProgressListener
from continual_dml.records import LabelledImages, LearningStream
from continual_dml.settings import Settings
from continual_dml.strategies.heads import Head
from continual_dml.strategies.learner import LearnedTask
from continual_dml.strategies.remembering import reduction_for
from continual_dml.strategies.state import LearnerState, MemberState
from continual_dml.strategies.stream_learners import StreamLearner
from continual_dml.workflows.readouts import (
    NOTHING,
    Readout,
    Unseen,
    Vectors,
    merged,
    search_gallery,
    search_unseen,
)

Features = NDArray[np.float32]
STATISTICS, TRAINED = "statistics", "trained"
REEMBEDDED, PROJECTED, COMPENSATED = "reembedded", "projected", "sdc"
READOUTS = (
    (STATISTICS, REEMBEDDED),
    (STATISTICS, PROJECTED),
    (TRAINED, REEMBEDDED),
    (TRAINED, PROJECTED),
    (TRAINED, COMPENSATED),
)


@dataclass(slots=True, eq=False)
class StreamResult:
    """What came of a stream.

    ``members``: average merged Recall@1 of each member of a cohort alone after the last task, by its own
    statistics head; ``bytes_kept``: by group of the learner's state, ``extra`` for what else it keeps.
    """

    readouts: list[Readout]
    learn_seconds: list[float] = field(default_factory=list)
    measure_seconds: list[float] = field(default_factory=list)
    loss_terms: list[dict[str, float]] = field(default_factory=list)
    members: list[float | None] = field(default_factory=list)
    bytes_kept: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """Stored features of all images of the stream by one learner: by task, and of what no task trains on."""

    train: list[Features]
    query: list[Features]
    unseen: Features | None


def learn_stream(
    stream: LearningStream,
    learner: StreamLearner,
    settings: Settings,
    compute: Compute,
    listener: ProgressListener,
) -> StreamResult:
    """Learn the tasks of ``stream`` in order; measure both heads and every kind of gallery after each.

    Nothing that is measured here reaches the learner.

    Args:
        stream: tasks and their queries.
        learner: sees the training images of one task at a time.
        settings: that the learner was made with.
        compute: device and precision of the measuring.
        listener: told of the progress.

    Raises:
        NotFiniteLoss: training diverged.
    """
    run = _Run(stream, settings, compute, listener)
    for position, experience in enumerate(stream.tasks):
        begin = time.perf_counter()
        learned = learner.learn(position, experience)
        middle = time.perf_counter()
        run.measure_stage(position, learned)
        saved = 0.0 if learned is None else learned.seconds_saved
        run.result.learn_seconds.append(middle - begin + saved)
        run.result.measure_seconds.append(time.perf_counter() - middle)
    run.finish(learner)
    return run.result


class _Run:
    """The values that the stages of one run share."""

    def __init__(
        self, stream: LearningStream, settings: Settings, compute: Compute, listener: ProgressListener
    ) -> None:
        self._stream = stream
        self._settings = settings
        self._compute = compute
        self._listener = listener
        ks = settings.evaluation.recall_at
        self.result = StreamResult([Readout(head, gallery, ks) for head, gallery in READOUTS])
        self._born: list[Features] = []
        self._moved: list[NDArray[np.float32]] = []
        self._now: _Look | None = None
        self._state: LearnerState | None = None

    def measure_stage(self, position: int, learned: LearnedTask | None) -> None:
        """Measure the stage after task ``position``; a stage without a model is left blank."""
        if learned is None:
            for readout in self.result.readouts:
                readout.skip(position + 1)
            self.result.loss_terms.append({})
            return
        before, old_state = self._now, self._state
        after = self._now = before if before is not None and not learned.moved else self._look(learned)
        self._state = learned.state
        self._born.append(after.train[position])
        self.result.loss_terms.append(learned.loss_terms)
        tasks = self._stream.tasks[: position + 1]
        for kind in (STATISTICS, TRAINED):
            head = self._head(learned.state, kind)
            asked = zip(after.query, tasks, strict=False)
            queries = [Vectors(head(part), task.query.labels) for part, task in asked]
            unseen = self._unseen(position, after, head)
            galleries = self._galleries(position, head, after, learned.state)
            if kind == TRAINED and PROJECTED in galleries:
                galleries[COMPENSATED] = self._compensated(position, before, old_state, after, head)
            for readout in [readout for readout in self.result.readouts if readout.head == kind]:
                if readout.gallery not in galleries:
                    readout.skip(position + 1)
                    continue
                searched = zip(galleries[readout.gallery], tasks, strict=True)
                gallery = [Vectors(part, task.train.labels) for part, task in searched]
                readout.measure(queries, gallery, unseen)

    def finish(self, learner: StreamLearner) -> None:
        """Measure what only the last stage has: each member of a cohort alone, and the bytes kept."""
        if self._state is None or self._now is None:
            return
        self.result.bytes_kept["drift"] = 0  # before the second task there is none
        for name, arrays in self._state.to_artefacts().items():
            group = name.split("-")[0]
            size = sum(int(array.nbytes) for array in arrays.values())
            self.result.bytes_kept[group] = self.result.bytes_kept.get(group, 0) + size
        self.result.bytes_kept["extra"] = learner.extra_bytes
        if len(self._state.members) > 1:
            alone = [self._member_alone(m, own, self._now) for m, own in self._state.columns()]
            self.result.members = alone

    def _look(self, learned: LearnedTask) -> _Look:
        tasks = self._stream.tasks
        total = sum(len(task.train) + len(task.query) for task in tasks)
        total += len(self._stream.unseen) if self._stream.unseen is not None else 0
        self._listener.start("measuring", total)
        unseen = None if self._stream.unseen is None else self._features(learned, self._stream.unseen)
        train = [self._features(learned, task.train) for task in tasks]
        return _Look(train, [self._features(learned, task.query) for task in tasks], unseen)

    def _features(self, learned: LearnedTask, images: LabelledImages) -> Features:
        return side_by_side(extract_each(learned.embedders, images.pixels, self._compute, self._listener))

    def _galleries(
        self, position: int, head: Head, seen: _Look, state: LearnerState
    ) -> dict[str, list[NDArray[np.float32]]]:
        """Return the learned tasks' items, embedded anew and, where all were seen at birth, projected."""
        galleries = {REEMBEDDED: [head(part) for part in seen.train[: position + 1]]}
        if len(self._born) == position + 1:
            galleries[PROJECTED] = self._projected(position, state, head)
        return galleries

    def _unseen(self, position: int, seen: _Look, head: Head) -> Unseen:
        """Measure what was not trained on so far: the stream's own such images, else later tasks' ones."""
        ks = self._settings.evaluation.recall_at
        if self._stream.unseen is not None and seen.unseen is not None:
            items = Vectors(head(seen.unseen), self._stream.unseen.labels)
            found = search_unseen(items, self._stream.unseen_asks, ks)
            seed = self._settings.training.seed
            if found is None:
                return NOTHING
            return Unseen(found, normalised_mutual_information(items.vectors, items.labels, seed))
        later = range(position + 1, len(self._stream.tasks))
        if not later:
            return NOTHING
        tasks = self._stream.tasks
        gallery = merged([Vectors(head(seen.train[i]), tasks[i].train.labels) for i in later])
        queries = merged([Vectors(head(seen.query[i]), tasks[i].query.labels) for i in later])
        return Unseen(search_gallery(queries, gallery, ks))

    def _projected(self, position: int, state: LearnerState, head: Head) -> list[NDArray[np.float32]]:
        """Return the gallery of each task, carried from its birth without looking at an image again."""
        births = [head(state.carried(self._born[birth], birth)) for birth in range(position)]
        return [*births, head(self._born[position])]

    def _compensated(
        self,
        position: int,
        before: _Look | None,
        old_state: LearnerState | None,
        after: _Look,
        head: Head,
    ) -> list[NDArray[np.float32]]:
        """Return the gallery of each task, moved task by task as the new images near its items moved."""
        if before is not None and old_state is not None:
            old = self._head(old_state, TRAINED)(before.train[position])
            new = head(after.train[position])
            self._moved = [unit_rows(compensated(part, old, new)) for part in self._moved]
        self._moved.append(head(self._born[position]))
        return self._moved

    def _head(self, state: LearnerState, kind: str) -> Head:
        settings = replace(self._settings, training=replace(self._settings.training, head=kind))
        own = replace(state, reduction=reduction_for(state.members, settings))
        return own.live_head(statistics_head=kind == STATISTICS, square_root=settings.model.takes_square_root)

    def _member_alone(self, member: MemberState, own: slice, seen: _Look) -> float | None:
        """Return the average merged Recall@1 of one member, whose features stand in the columns ``own``."""
        head, tasks = member.head, self._stream.tasks
        parts = zip(seen.train, tasks, strict=True)
        gallery = merged([Vectors(head(part[:, own]), task.train.labels) for part, task in parts])
        recalls = []
        for part, task in zip(seen.query, tasks, strict=True):
            found = search_gallery(Vectors(head(part[:, own]), task.query.labels), gallery, (1,))
            recalls += [] if found is None else [found.recall[1]]
        return float(np.mean(recalls)) if recalls else None
