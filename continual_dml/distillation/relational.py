"""Relation distillation: rows of two similarity matrices are compared as distributions."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from continual_dml.similarity import cosine_similarity


def relation_loss(student_embeddings: Tensor, teacher_embeddings: Tensor, temperature: float = 4.0) -> Tensor:
    """Return C(A, B): how far the student's relations (A) are from the teacher's (B) on the same images.

    ::

        P_F[i, :] = softmax_j(f_i . f_j / T), diagonal included
        C(A, B)   = T^2 / N sum_i KL(P_A[i, :] || P_B[i, :])
                  = T^2 / N sum_ij P_A[i, j] (log P_A[i, j] - log P_B[i, j])

    Nothing is detached: where the teacher must not move, pass embeddings without a gradient. The factor T^2
    keeps the size of the gradient when T changes; at T = 4 the value is about half the row variance of the
    difference between the two similarity matrices. A rotation of either network's embeddings leaves it
    unchanged.

    Args:
        student_embeddings: A, (N, D) unit vectors.
        teacher_embeddings: B, (N, D') unit vectors of the same images; D' may differ from D.
        temperature: T, above 0.

    Returns:
        A scalar, 0 or more up to rounding.

    Source: Online Deep Metric Learning via Mutual Distillation (arXiv 2203.05201).

    >>> import math, torch
    >>> points, collapsed = torch.eye(2), torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    >>> odds = math.e / (1 + math.e)  # of an eye's diagonal at T = 1; the collapsed rows are 1/2 each
    >>> by_hand = odds * math.log(2 * odds) + (1 - odds) * math.log(2 * (1 - odds))
    >>> abs(relation_loss(points, collapsed, temperature=1.0).item() - by_hand) < 1e-6
    True
    """
    student = functional.log_softmax(cosine_similarity(student_embeddings) / temperature, dim=1)
    teacher = functional.log_softmax(cosine_similarity(teacher_embeddings) / temperature, dim=1)
    return temperature**2 * (student.exp() * (student - teacher)).sum(dim=1).mean()
