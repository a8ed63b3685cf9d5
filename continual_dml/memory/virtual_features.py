"""Virtual features: what an earlier generation's model would have said of a new image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from continual_dml.memory.class_statistics import ClassStatistics
from continual_dml.memory.discriminant_head import unit_rows

Floats = NDArray[np.floating]


def virtual_embeddings(
    outputs: Floats, statistics: ClassStatistics, task: int, *, guarded: bool = True
) -> NDArray[np.float32]:
    """Return the unit embeddings that the model of ``task`` would have given the images behind ``outputs``.

    The classes of that task have moved by D_c = (mean output now) - (mean output at birth). A new image is
    assumed to have moved like the classes it resembles, and that drift is taken back::

        v_c = <f(x), mu_c>        zhat(x) = z(x) - sum_c v_c D_c / sum_c v_c

    Args:
        outputs: (N, D) raw outputs z of the previous model on the new images.
        statistics: in the previous model's spaces.
        task: index of the earlier task.
        guarded: use max(v_c, 0), because signed weights can sum to nearly zero and explode; an image that
            resembles no class then takes the mean drift. ``False`` is the published, unguarded form.

    Returns:
        (N, D) unit vectors.

    Source: Online Deep Metric Learning via Mutual Distillation (arXiv 2203.05201), virtual features.

    >>> from dataclasses import replace
    >>> from continual_dml.memory.class_statistics import measure_classes
    >>> images = np.ones((20, 2), dtype=np.float32)  # all of one class, with mean output (1, 1)
    >>> measured = measure_classes(images, images, np.full(20, 7), task=0)
    >>> one_class = replace(measured, birth_outputs=np.array([[0.0, 1.0]]))  # it has moved by (1, 0) since
    >>> virtual_embeddings(np.array([[4.0, 4.0]]), one_class, task=0).round(3).tolist()  # (3, 4) / 5
    [[0.6000000238418579, 0.800000011920929]]
    """
    chosen = statistics.tasks == task
    now = statistics.output_means[chosen]
    drift = now - statistics.birth_outputs[chosen]
    weights = unit_rows(outputs).astype(np.float64) @ unit_rows(now).astype(np.float64).T
    if guarded:
        weights = np.maximum(weights, 0.0)
        weights[weights.sum(axis=1) <= 1e-9] = 1.0
    correction = weights @ drift / weights.sum(axis=1, keepdims=True)
    return unit_rows(np.asarray(outputs, dtype=np.float64) - correction)
