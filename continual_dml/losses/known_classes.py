"""The classes that a loss with learnable parameters per class was made for."""

from __future__ import annotations

import torch
from torch import Tensor

from continual_dml.errors import SettingsError, TrainingError
from continual_dml.similarity import same_label_mask


def distinct_classes(class_ids: Tensor, loss: str) -> Tensor:
    """Return the ids of the classes in ascending order, (C,).

    Args:
        class_ids: (C,) integers in any order.
        loss: name of the loss, for the message.

    Raises:
        SettingsError: there is no class, or a class twice.

    >>> distinct_classes(torch.tensor([9, 4]), "margin").tolist()
    [4, 9]
    """
    known: Tensor = torch.unique(class_ids)
    if not len(known) or len(known) != class_ids.numel():
        raise SettingsError(f"{loss} loss: it needs the ids of the task's classes, each of them once")
    return known


def class_rows(labels: Tensor, class_ids: Tensor, loss: str) -> Tensor:
    """Return each label's position among the classes, (B,) int64.

    Args:
        labels: (B,) integers.
        class_ids: (C,) distinct integers.
        loss: name of the loss, for the message.

    Raises:
        TrainingError: a label is none of the classes.

    >>> class_rows(torch.tensor([9, 4, 9]), torch.tensor([4, 9]), "margin").tolist()
    [1, 0, 1]
    """
    belongs = same_label_mask(labels, class_ids)  # (B, C)
    if not bool(belongs.any(dim=1).all()):
        raise TrainingError(
            f"{loss} loss: a label of the batch is none of the classes it was made for; "
            "make the loss from the ids of all categories of the task"
        )
    return belongs.int().argmax(dim=1)
