"""ArcFace: normalised softmax that demands an angle more of the image's own class."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from continual_dml.errors import SettingsError
from continual_dml.losses.known_classes import class_rows, distinct_classes
from continual_dml.losses.proxies import proxy_cosines, random_proxies

SMALLEST_SQUARED_SINE = 1e-6
"""Below it (about 0.06 degrees) the sine is taken as constant: its slope is infinite at 0."""


class ArcFaceLoss(nn.Module):
    """Cross-entropy of scaled cosines, the image's own angle widened by a margin.

    ::

        L = mean over images of  -log softmax_c(scale z),   z_c = cos(theta_c + margin) for the image's class,
                                                             z_j = cos(theta_j)          for the others

    An own angle beyond pi - margin, where the cosine would rise again, costs cos(theta) - margin sin(margin)
    instead, as in the authors' code: the loss always rises with the angle, with one jump there.

    Source: Deng, Guo, Xue, Zafeiriou 2019, "ArcFace: Additive Angular Margin Loss for Deep Face Recognition"
    (arXiv 1801.07698), equation 3; scale and margin are the paper's.

    Args:
        class_ids: (C,) ids that labels may have, distinct; row c of ``proxies`` belongs to the c-th smallest.
        dimension: D, length of an embedding.
        scale: what cosines are multiplied by.
        margin_radians: the angle, at least 0 and below a right one.

    Raises:
        SettingsError: no class, a class twice, or a scale or margin that cannot work.
    """

    learning_rate: ClassVar[float] = 1e-2
    class_ids: Tensor

    def __init__(
        self, class_ids: Tensor, dimension: int, scale: float = 64.0, margin_radians: float = 0.5
    ) -> None:
        super().__init__()
        if not (scale > 0 and 0 <= margin_radians < math.pi / 2):
            raise SettingsError(
                f"arcface loss: the scale is {scale:g} and the margin {margin_radians:g} radians; the scale "
                "must be above 0, the margin at least 0 and below pi/2"
            )
        self.scale = scale
        self.margin_radians = margin_radians
        self.register_buffer("class_ids", distinct_classes(class_ids, "arcface"))
        self.proxies = random_proxies(len(self.class_ids), dimension)

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Return the scalar loss of unit vectors (B, D) with labels (B,).

        Raises:
            TrainingError: a label is none of the classes.

        >>> loss = ArcFaceLoss(torch.tensor([4, 9]), 2, scale=1.0, margin_radians=math.pi / 6)
        >>> _ = loss.proxies.data.copy_(torch.eye(2))
        >>> point = torch.tensor([[3**0.5 / 2, 0.5]])  # 30 degrees from its proxy, 60 from the other one
        >>> round(loss(point, torch.tensor([4])).item(), 4)  # 30 + 30 = 60 degrees: log 2
        0.6931
        """
        rows = class_rows(labels, self.class_ids, "arcface")
        cosines = proxy_cosines(embeddings, self.proxies)  # (B, C)
        own = rows[:, None]
        widened = cosines.scatter(1, own, self._widen(cosines.gather(1, own)))
        return nn.functional.cross_entropy(self.scale * widened, rows)

    def _widen(self, cosines: Tensor) -> Tensor:
        """Return cos(theta + margin) of cos(theta)."""
        margin = self.margin_radians
        sines = (1 - cosines.square()).clamp(min=SMALLEST_SQUARED_SINE).sqrt()
        widened = cosines * math.cos(margin) - sines * math.sin(margin)
        return torch.where(
            cosines > -math.cos(margin), widened, cosines - margin * math.sin(margin)
        )  # cos(pi - margin) = -cos(margin)
