"""Proxy-NCA++: neighbourhood components analysis with one proxy per class as the only neighbours."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from continual_dml.errors import SettingsError
from continual_dml.losses.known_classes import class_rows, distinct_classes
from continual_dml.losses.proxies import proxy_cosines, random_proxies


class ProxyNcaLoss(nn.Module):
    """Maximises the probability of picking one's own proxy when nearer proxies are picked more often.

    ::

        L = mean over images of  -log softmax_c(-|x - p_c|^2 / temperature),   c the image's class

    with unit proxies. All proxies stand in the softmax, the image's own too: the "++" of the paper, as are
    the temperature and proxies that learn faster than the network. As |x - p|^2 = 2 - 2 s, it equals the
    normalised softmax at half the temperature; both are here because both are asked for by name.

    Source: Teh, DeVries, Taylor 2020, "ProxyNCA++: Revisiting and Revitalizing Proxy Neighborhood Component
    Analysis" (arXiv 2004.01113), section 3; the temperature is the paper's.

    Args:
        class_ids: (C,) ids that labels may have, distinct; row c of ``proxies`` belongs to the c-th smallest.
        dimension: D, length of an embedding.
        temperature: what squared distances are divided by.

    Raises:
        SettingsError: no class, a class twice, or a temperature that is not above 0.
    """

    learning_rate: ClassVar[float] = 1e-2
    class_ids: Tensor

    def __init__(self, class_ids: Tensor, dimension: int, temperature: float = 1 / 9) -> None:
        super().__init__()
        if not temperature > 0:
            raise SettingsError(f"proxy-nca loss: the temperature is {temperature:g}; it must be above 0")
        self.temperature = temperature
        self.register_buffer("class_ids", distinct_classes(class_ids, "proxy-nca"))
        self.proxies = random_proxies(len(self.class_ids), dimension)

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Return the scalar loss of unit vectors (B, D) with labels (B,).

        Raises:
            TrainingError: a label is none of the classes.

        >>> import torch
        >>> loss = ProxyNcaLoss(torch.tensor([4, 9]), 2, temperature=1.0)
        >>> _ = loss.proxies.data.copy_(torch.eye(2))
        >>> # squared distances .16 + .64 = .8 and .36 + .04 = .4: log(1 + e^(.8 - .4))
        >>> round(loss(torch.tensor([[0.6, 0.8]]), torch.tensor([4])).item(), 4)
        0.913
        """
        rows = class_rows(labels, self.class_ids, "proxy-nca")
        squares = 2 - 2 * proxy_cosines(embeddings, self.proxies)  # (B, C)
        return nn.functional.cross_entropy(-squares / self.temperature, rows)
