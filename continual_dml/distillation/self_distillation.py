"""Progressive self-distillation (PSD): a network keeps the relations that it saw a little earlier."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from continual_dml.similarity import cosine_similarity


def psd_target(teacher_embeddings: Tensor, temperature: float) -> Tensor:
    """Return the relations of the teacher, the network's own earlier state, as one distribution per image.

    ::

        Q[i, :] = softmax_j(t_i . t_j / tau), the image itself included

    Args:
        teacher_embeddings: t, (B, D) unit vectors; no gradient flows back into them.
        temperature: tau, above 0.

    Returns:
        Q, (B, B), rows sum to 1; float32 at least.

    Source: Self-distillation with Online Diffusion on Batch Manifolds (arXiv 2211.07566), PSD.

    >>> import math, torch
    >>> target = psd_target(torch.eye(2), temperature=1.0)
    >>> abs(target[0, 0].item() - math.e / (math.e + 1)) < 1e-6  # cosines 1 and 0
    True
    """
    return functional.softmax(cosine_similarity(teacher_embeddings.detach()) / temperature, dim=1)


def self_distillation_loss(student_embeddings: Tensor, target: Tensor, temperature: float) -> Tensor:
    """Return how far the student's relations are from a target, which comes first in the divergence.

    ::

        P[i, :] = softmax_j(f_i . f_j / tau)
        L       = tau^2 / B sum_i KL(Q[i, :] || P[i, :])

    The gradient with respect to f_i . f_j is tau (P - Q)[i, j] / B. At tau = 1 it is small, since an entry of
    P is about 1/B: that is why the published weights of this term are 75 to 1000.

    Args:
        student_embeddings: f, (B, D) unit vectors.
        target: Q, (B, B), of the same images in the same order; rows sum to 1. Detached.
        temperature: tau, above 0, the one that the target was made with.

    Returns:
        A scalar, 0 or more up to rounding; float32 at least.

    Source: Self-distillation with Online Diffusion on Batch Manifolds (arXiv 2211.07566).

    >>> import math, torch
    >>> even = torch.full((2, 2), 0.5)
    >>> loss = self_distillation_loss(torch.eye(2), even, temperature=1.0)
    >>> abs(loss.item() - math.log(math.cosh(0.5))) < 1e-6  # log 1/2 - mean of log e/(1+e) and log 1/(1+e)
    True
    """
    student = functional.log_softmax(cosine_similarity(student_embeddings) / temperature, dim=1)
    return temperature**2 * functional.kl_div(student, target.detach(), reduction="batchmean")
