"""Normalised softmax: classification by the cosine to one proxy per class."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from continual_dml.errors import SettingsError
from continual_dml.losses.known_classes import class_rows, distinct_classes
from continual_dml.losses.proxies import proxy_cosines, random_proxies


class NormalisedSoftmaxLoss(nn.Module):
    """Cross-entropy of a classifier whose weights and inputs have unit length and which has no bias.

    ::

        L = mean over images of  -log softmax_c(s(x, p_c) / temperature),   c the image's class

    Source: Zhai, Wu 2019, "Classification is a Strong Baseline for Deep Metric Learning" (arXiv 1811.12649),
    equation 3; the temperature is the paper's.

    Args:
        class_ids: (C,) ids that labels may have, distinct; row c of ``proxies`` belongs to the c-th smallest.
        dimension: D, length of an embedding.
        temperature: what cosines are divided by.

    Raises:
        SettingsError: no class, a class twice, or a temperature that is not above 0.
    """

    learning_rate: ClassVar[float] = 1e-2
    class_ids: Tensor

    def __init__(self, class_ids: Tensor, dimension: int, temperature: float = 0.05) -> None:
        super().__init__()
        if not temperature > 0:
            raise SettingsError(
                f"normalised-softmax loss: the temperature is {temperature:g}; it must be above 0"
            )
        self.temperature = temperature
        self.register_buffer("class_ids", distinct_classes(class_ids, "normalised-softmax"))
        self.proxies = random_proxies(len(self.class_ids), dimension)

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Return the scalar loss of unit vectors (B, D) with labels (B,).

        Raises:
            TrainingError: a label is none of the classes.

        >>> import torch
        >>> loss = NormalisedSoftmaxLoss(torch.tensor([4, 9]), 2, temperature=1.0)
        >>> _ = loss.proxies.data.copy_(torch.eye(2))
        >>> round(loss(torch.tensor([[0.6, 0.8]]), torch.tensor([4])).item(), 4)  # log(1 + e^(.8 - .6))
        0.7981
        """
        rows = class_rows(labels, self.class_ids, "normalised-softmax")
        return nn.functional.cross_entropy(proxy_cosines(embeddings, self.proxies) / self.temperature, rows)
