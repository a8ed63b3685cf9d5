"""What a way of training asks of the network, told before any image is read."""

from __future__ import annotations

from torch import nn

from continual_dml.embedding.backbones import build_backbone
from continual_dml.embedding.stages import halves_of
from continual_dml.errors import SettingsError
from continual_dml.settings import Settings


def require_trainable(settings: Settings, *, first_task: bool) -> None:
    """Raise a SettingsError where the networks of ``settings`` cannot be trained as these say.

    Frozen lower stages must have learned something: from pretrained weights, or in earlier tasks. A batch
    that goes through a network in chunks is not the batch that live batch norm would have to see.
    """
    model, training = settings.model, settings.training
    if training.train_stages is not None and first_task and not model.pretrained:
        raise SettingsError(
            f"train-stages is {training.train_stages}, but the network starts from random weights and the "
            "stages below would stay so: leave it out for the first task, or start from pretrained weights"
        )
    in_chunks = training.chunk_images is not None and not model.batch_norm_is_frozen
    if training.train_stages is None and not in_chunks:
        return
    for name in sorted(set(model.backbones)):
        backbone, _ = build_backbone(name, model.image_side_pixels)
        if in_chunks and any(
            isinstance(module, nn.modules.batchnorm._BatchNorm) for module in backbone.modules()
        ):
            raise SettingsError(
                f"chunk-images is {training.chunk_images}, but batch norm of backbone '{name}' is trained "
                "and would see chunks in place of batches: leave chunk-images out, or make a workspace with "
                "pretrained weights or --freeze-batch-norm yes"
            )
        if training.train_stages is not None:
            halves_of(backbone, name, model.image_side_pixels, training.train_stages)
