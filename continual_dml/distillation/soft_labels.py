"""Soft labels (learning without forgetting): new images keep the old classes that they were likened to."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from continual_dml.similarity import at_least_float32, cosine_similarity

COSINE_SCALE = 16.0  # logits between -16 and 16


def soft_label_loss(
    embeddings: Tensor, old_embeddings: Tensor, old_class_means: Tensor, temperature: float = 2.0
) -> Tensor:
    """Return how far the posteriors over the old classes are from what the old model gave the same images.

    ::

        logits(f)[i, c] = 16 <f_i, mu_c>,  mu_c = mean_c / |mean_c|
        L = T^2 / B sum_i KL(softmax(logits(f_old)[i] / T) || softmax(logits(f)[i] / T))

    An embedder has no classifier to keep. The means of the old classes stand in for it: a prototype
    classifier, which needs no old image. Cosines lie between -1 and 1 and would give almost even posteriors,
    with nothing in them to keep: at T = 2 no two classes could differ by more than a factor e. The fixed
    scale of 16, of the order that cosine classifiers are trained with, brings them to the range of a softmax
    head's logits. The divergence has the gradient of the cross entropy and is 0 where nothing moved.

    Args:
        embeddings: f, (B, D) unit vectors.
        old_embeddings: f_old, (B, D) unit vectors of the same images; detached.
        old_class_means: (C, D), of any length, in the old model's embedding space; detached.
        temperature: T, above 0; above 1 it brings out the less likely classes.

    Returns:
        A scalar, 0 or more up to rounding; float32 at least.

    Source: Li, Hoiem 2016, "Learning without Forgetting" (arXiv 1606.09282); prototypes replace its old head.

    >>> import math, torch
    >>> new, old = torch.tensor([[0.6, 0.8]]), torch.tensor([[2 ** -0.5, 2 ** -0.5]])
    >>> loss = soft_label_loss(new, old, torch.eye(2))  # logits differ by 16 (0.8 - 0.6) / 2 = 1.6; old: even
    >>> abs(loss.item() - 4 * math.log(math.cosh(0.8))) < 1e-5
    True
    """
    prototypes = functional.normalize(at_least_float32(old_class_means.detach()), dim=1)  # (C, D)
    sharpness = COSINE_SCALE / temperature
    new = functional.log_softmax(sharpness * cosine_similarity(embeddings, prototypes), dim=1)  # (B, C)
    old = functional.log_softmax(sharpness * cosine_similarity(old_embeddings.detach(), prototypes), dim=1)
    return temperature**2 * functional.kl_div(new, old, reduction="batchmean", log_target=True)
