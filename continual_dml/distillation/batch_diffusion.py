"""Online batch diffusion (OBDP): a target whose relations have been spread along the batch's manifold."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from continual_dml.distillation.self_distillation import psd_target
from continual_dml.similarity import cosine_similarity, drop_self, hide


def diffused_target(
    teacher_embeddings: Tensor,
    temperature: float,
    diffusion: float,
    diffusion_temperature: float,
    *,
    symmetric: bool = False,
) -> Tensor:
    """Return the teacher's relations after a random walk over the batch, as one distribution per image.

    ::

        W = softmax_j(t_i . t_j / tau_d) over j != i, zero diagonal, rows sum to 1
        Q = (1 - w) (I - w W)^-1 softmax(S / tau) = (1 - w) sum_k (w W)^k softmax(S / tau)

    So image i also takes over what its neighbours, and theirs in turn, say of the batch. The closed form
    needs no neighbour list and no iteration. A single image has no neighbours and keeps its own relations.

    The system is solved, not inverted, in float64: its condition number is up to (1 + w)/(1 - w), which is
    200 at w = 0.99 and 20,000 at 0.9999, and float64 leaves eleven digits of that where float32 leaves three.
    A batch is small, so this costs well under a millisecond for a hundred images.

    Args:
        teacher_embeddings: t, (B, D) unit vectors; no gradient flows back into them.
        temperature: tau, above 0.
        diffusion: w, at least 0 and below 1; 0 gives :func:`psd_target` exactly.
        diffusion_temperature: tau_d, above 0; small values walk to the nearest images only.
        symmetric: take W = d^-1/2 A d^-1/2 instead, with the affinities A[i, j] = exp(t_i . t_j / tau_d) off
            the diagonal and 0 on it, and d their row sums. Rows of this W do not sum to 1, so the rows of Q
            are divided by their sums, which makes each a distribution again.

    Returns:
        Q, (B, B), nonnegative, rows sum to 1; float32 at least.

    Source: Self-distillation with Online Diffusion on Batch Manifolds (arXiv 2211.07566), OBDP.

    >>> target = diffused_target(torch.eye(2), 1.0, diffusion=0.5, diffusion_temperature=1.0)
    >>> own = psd_target(torch.eye(2), 1.0)[0, 0].item()  # W swaps the two images, D = [[2, 1], [1, 2]] / 3
    >>> abs(target[0, 0].item() - (2 * own + (1 - own)) / 3) < 1e-6
    True
    """
    target = psd_target(teacher_embeddings, temperature)
    if len(target) == 1:
        return target
    logits = cosine_similarity(teacher_embeddings.detach()).double() / diffusion_temperature
    walk = _symmetric_walk(logits) if symmetric else _random_walk(logits)
    identity = torch.eye(len(walk), dtype=walk.dtype, device=walk.device)
    # solve_ex: the matrix cannot be singular for w < 1, so there is no error to wait for on a GPU, and a
    # similarity that is not a number reaches the loss, where training reports it.
    solution, _ = torch.linalg.solve_ex(identity - diffusion * walk, (1 - diffusion) * target.double())
    spread: Tensor = solution.clamp(min=0)  # rounding may leave -1e-20, which has no logarithm
    if symmetric:
        spread = spread / spread.sum(dim=1, keepdim=True)
    return spread.to(target.dtype)


def _random_walk(logits: Tensor) -> Tensor:
    return functional.softmax(_without_self(logits), dim=1)


def _symmetric_walk(logits: Tensor) -> Tensor:
    # In logarithms, because exp(1 / tau_d) overflows for small tau_d.
    affinities = _without_self(logits)
    degrees = affinities.logsumexp(dim=1)
    return (affinities - (degrees[:, None] + degrees[None, :]) / 2).exp()


def _without_self(logits: Tensor) -> Tensor:
    others = drop_self(torch.ones_like(logits, dtype=torch.bool))
    return hide(logits, others, float("-inf"))
