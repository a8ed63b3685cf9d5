"""The learner as an Avalanche strategy: ``train(experiences)``, ``eval(stream)``, and plugins.

Avalanche (avalanche-lib 0.6) takes seconds to import: import this module only where a strategy is built.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from continual_dml.embedding.embedder import Embedder, build_embedder
from continual_dml.embedding.extract import BATCH_IMAGES
from continual_dml.embedding.precision import Compute, choose_compute
from continual_dml.embedding.torchvision_guard import import_torchvision
from continual_dml.errors import EmptyTask, SettingsError
from continual_dml.losses import make_loss
from continual_dml.metrics.forgetting import RecallMatrix
from continual_dml.metrics.recall import RetrievalMetrics, retrieval_metrics
from continual_dml.ports import ProgressListener, SilentListener
from continual_dml.records import LabelledImages
from continual_dml.settings import Settings
from continual_dml.strategies.avalanche_hooks import PluginCalls
from continual_dml.strategies.avalanche_metrics import retrieval_evaluator
from continual_dml.strategies.avalanche_views import (
    DealtViews,
    NetworkViews,
    UnitEmbeddings,
    batch_vectors,
    gallery_vectors,
)
from continual_dml.strategies.heads import Head
from continual_dml.strategies.learner import LearnedTask, Learner
from continual_dml.strategies.recall_log import RecallLog
from continual_dml.strategies.sampling import can_be_compared
from continual_dml.strategies.state import LearnerState
from continual_dml.strategies.stream_learners import with_steps

import_torchvision()  # Avalanche imports torchvision, which may need the guard
with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="no QP solver found")  # of a strategy that is not used here
    from avalanche.training.templates import SupervisedTemplate
    from avalanche.training.utils import trigger_plugins

ImagesOf = Callable[[Any], LabelledImages]
"""Reads the dataset of an Avalanche experience; ``streams.avalanche_bridge.labelled_images`` is one."""


class EmbeddingStrategy(SupervisedTemplate):  # type: ignore[misc]
    """Learns a stream of experiences with :class:`Learner`, inside Avalanche's train and eval loops.

    Plugins get every callback of Avalanche's supervised strategies, with ``model``, ``optimizer``,
    ``mbatch``, ``mb_output``, ``loss``, ``clock`` and ``experience`` set; they may add to ``loss``, change
    gradients, and call ``stop_training`` (training of the experience ends after the step at hand). What
    differs from other strategies:

    - ``model`` and ``optimizer`` are new for each experience, with the weights carried over; they are
      in place from ``before_training_exp`` on. Parameter names never change.
    - Batches are class-balanced and drawn from the images of the experience by the learner itself, so
      plugins that replace ``dataloader`` (replay) are refused. An epoch is as many steps as it takes to see
      as many images as the experience has.
    - ``eval`` embeds each experience's images as queries and searches them among a gallery (see there).
      Inside training, embeddings come from the trained projection, afterwards from the learner's head.

    Args:
        settings: of the model, the training and the K of Recall@K.
        images_of: reads an experience's dataset, for instance ``streams.avalanche_bridge.labelled_images``
            with its ``stored_side_pixels`` bound.
        pretrained: backbone weights, or None for random ones.
        compute: device and precision; None for what the settings say.
        gallery: stream that ``eval`` searches by default, for instance ``benchmark.train_stream``: of it, the
            experiences learned so far.
        plugins: of Avalanche.
        evaluator: None measures retrieval and logs nothing, see :func:`retrieval_evaluator`.
        listener: told of the progress.
        eval_every: as in Avalanche.
        peval_mode: as in Avalanche.
        first_steps: optimisation steps of the first experience; None for those of the later ones.

    Raises:
        SettingsError: the settings ask for a cohort, of which Avalanche's plugins could see one network only.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        images_of: ImagesOf,
        pretrained: Mapping[str, NDArray[Any]] | None = None,
        compute: Compute | None = None,
        gallery: Iterable[Any] | None = None,
        plugins: Sequence[Any] | None = None,
        evaluator: Any = None,  # noqa: ANN401 - an EvaluationPlugin
        listener: ProgressListener | None = None,
        eval_every: int = -1,
        peval_mode: str = "epoch",
        first_steps: int | None = None,
    ) -> None:
        training, model = settings.training, settings.model
        if model.cohort > 1:
            raise SettingsError(
                f"Avalanche's plugins see one network, the settings ask for {model.cohort}; set cohort to 1"
            )
        chosen = compute or choose_compute(training.device, training.precision)
        untrained = UnitEmbeddings(build_embedder(model, pretrained, training.seed))
        super().__init__(
            model=untrained,
            optimizer=torch.optim.AdamW(untrained.parameters()),  # until the first experience
            criterion=make_loss(training, torch.zeros(1, dtype=torch.int64), model.embedding_dim),
            train_mb_size=training.batch_categories * training.images_per_category,
            eval_mb_size=BATCH_IMAGES,
            device=chosen.device,
            plugins=plugins,
            evaluator=evaluator or retrieval_evaluator(),
            eval_every=eval_every,
            peval_mode=peval_mode,
        )
        self.state: LearnerState | None = None
        """What the learner keeps between experiences."""
        self.learned: LearnedTask
        """What the learner made of the latest experience; missing before the first."""
        self.retrieval: RetrievalMetrics | None = None
        """What ``eval`` measured on the experience at hand."""
        self._settings = settings
        self._images_of = images_of
        self._compute = chosen
        self._learner = Learner(settings, pretrained, chosen, listener or SilentListener())
        self._first_learner = replace(self._learner, settings=with_steps(settings, first_steps))
        self._default_gallery = gallery
        self._gallery: tuple[NDArray[np.float32], NDArray[np.int64]] | None = None
        self._head: Head | None = None
        self._learning = False
        self._learned: list[int] = []
        self._answers: list[tuple[NDArray[np.float32], NDArray[np.int64]]] = []
        self._log = RecallLog()

    @property
    def stop_requested(self) -> bool:
        """Whether a plugin called ``stop_training``."""
        return bool(self._stop_training)

    @property
    def recall_matrix(self) -> RecallMatrix:
        """Recalls of the stream evaluated last, at the smallest K; see :meth:`recall_matrix_at`."""
        return self.recall_matrix_at(min(self._settings.evaluation.recall_at), self._log.last_stream)

    def recall_matrix_at(self, k: int, stream_name: str = "test") -> RecallMatrix:
        """Return R[i][j]: Recall@k on the j-th learned experience of a stream, evaluated after the i-th.

        What was not evaluated outside of training is None.
        """
        return self._log.matrix(stream_name, k)

    def dealt_views(self) -> DealtViews:
        """Return the images of the experience being trained on as class-balanced batches.

        For plugins that look at them once more: the items of an experience often stand in the order of their
        categories, and a batch of one category has no metric loss.
        """
        images = self._images_of(self.experience.dataset)
        side = self._settings.model.image_side_pixels
        return DealtViews(images, side, self._settings.training, self.clock.train_exp_counter)

    def begin(
        self,
        model: Embedder,
        optimiser: torch.optim.Optimizer,
        loss: nn.Module,
        epoch_steps: int,
        options: Mapping[str, Any],
    ) -> None:
        """Take over what the learner trains now, and tell the plugins; called by :class:`PluginCalls`."""
        self.model, self.optimizer, self._criterion = UnitEmbeddings(model), optimiser, loss
        self._head = None
        loader = range(epoch_steps)
        self.dataloader: Any = loader  # only its length means something, for progress bars
        trigger_plugins(self, "before_training_exp", **options)
        if self.dataloader is not loader:
            raise SettingsError(
                "a plugin replaced the data loader; this strategy draws class-balanced batches of the "
                "new images by itself, so leave out replay plugins"
            )

    def eval(self, exp_list: Any, gallery: Any = None, **kwargs: Any) -> dict[str, Any]:  # noqa: ANN401
        """Search every image of the experiences among a gallery and return the metrics by name.

        The gallery's images are embedded anew each time. Queries without an image of their own category in
        the gallery are left out of the means.

        Args:
            exp_list: an experience or a stream: the queries.
            gallery: an experience or a stream, all of which is searched. None for the experiences learned so
                far of the gallery that the strategy was made with.
            kwargs: handed on to the plugins.

        Raises:
            SettingsError: there is no gallery.
        """
        self._gallery = self._embedded_gallery(gallery)
        metrics: dict[str, Any] = super().eval(exp_list, **kwargs)
        return metrics

    def _before_training_exp(self, **kwargs: Any) -> None:  # noqa: ANN401
        """Gather the data; the plugins' callback of this name follows once model and optimiser stand."""
        self._before_train_dataset_adaptation(**kwargs)
        self.train_dataset_adaptation(**kwargs)
        self._after_train_dataset_adaptation(**kwargs)

    def _train_exp(self, experience: Any, eval_streams: Any = None, **kwargs: Any) -> None:  # noqa: ANN401
        name = f"experience {experience.current_experience}"
        images = self._images_of(self.adapted_dataset)
        if self.state is None and not can_be_compared(images.labels.tolist()):
            raise EmptyTask(
                f"{name}: the first experience needs at least two categories with two images each, and "
                f"has {len(images)} images; begin with a larger one"
            )
        calls = PluginCalls(self, kwargs)
        task = self.state.tasks_learned if self.state else 0
        self._learned.append(experience.current_experience)
        self._learning = True
        try:
            learner = self._learner if self.state else self._first_learner
            self.learned = learner.learn(name, images, self.state, task, calls)
            self.state = self.learned.state
        except BaseException:
            self._learned.pop()
            raise
        finally:
            self._learning = False
            self._stop_training = False
            self._settle()
        if not calls.began:
            trigger_plugins(self, "before_training_exp", **kwargs)

    def _settle(self) -> None:
        """Show the learner's state: averaged weights as well, or those from before a training that failed."""
        if self.state is None:
            return
        weights = {name: torch.from_numpy(np.array(value)) for name, value in self.state.weights.items()}
        self.model.embedder.load_state_dict(weights)  # into the parameters that the optimiser holds
        self._head = self.state.live_head(
            statistics_head=self._settings.training.uses_statistics_head,
            square_root=self._settings.model.takes_square_root,
        )

    def make_eval_dataloader(self, **kwargs: Any) -> None:  # noqa: ANN401
        """Make batches of the network's view of the adapted dataset's images."""
        images = self._images_of(self.adapted_dataset)
        self.dataloader = NetworkViews(images, self._settings.model.image_side_pixels, self._compute.device)

    def forward(self) -> torch.Tensor:
        """Return the embeddings (B, D) of the evaluated batch, as searches would use them."""
        return batch_vectors(self.model.embedder, self._head, self.mb_x, self._compute)

    def criterion(self) -> torch.Tensor:
        """Return the metric loss; NaN in evaluation if it has proxies, which know trained categories only."""
        if self.is_eval and any(True for _ in self._criterion.parameters()):
            return torch.full((), torch.nan, device=self._compute.device)
        loss: torch.Tensor = self._criterion(self.mb_output, self.mb_y)
        return loss

    def _after_eval_iteration(self, **kwargs: Any) -> None:  # noqa: ANN401
        self._answers.append((self.mb_output.cpu().numpy(), self.mb_y.cpu().numpy()))
        super()._after_eval_iteration(**kwargs)

    def _eval_exp(self, **kwargs: Any) -> None:  # noqa: ANN401
        self._answers = []
        super()._eval_exp(**kwargs)
        gallery = self._gallery
        self.retrieval = None
        if gallery is None or not self._answers:
            return
        vectors, labels = (np.concatenate(part) for part in zip(*self._answers, strict=True))
        recall_at = self._settings.evaluation.recall_at
        self.retrieval = retrieval_metrics(vectors, labels, *gallery, ks=recall_at)
        current = self.experience.current_experience
        if current in self._learned and not self._learning:
            row, column = len(self._learned) - 1, self._learned.index(current)
            self._log.enter(self.experience.origin_stream.name, row, column, self.retrieval)

    def _embedded_gallery(self, gallery: Any) -> tuple[NDArray[np.float32], NDArray[np.int64]]:  # noqa: ANN401
        if gallery is None and self._default_gallery is None:
            raise SettingsError(
                "no gallery to search; pass gallery=benchmark.train_stream to the strategy or to eval"
            )
        if gallery is None:
            chosen = [e for e in self._default_gallery or () if e.current_experience in self._learned]
        else:
            chosen = list(gallery) if isinstance(gallery, Iterable) else [gallery]
        parts = [self._images_of(experience.dataset) for experience in chosen]
        return gallery_vectors(self.model.embedder, self._head, parts, self._compute)
