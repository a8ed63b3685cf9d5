"""The decomposition is the same whichever way it was found."""

from __future__ import annotations

import numpy as np
import pytest

from continual_dml.memory.decompositions import thin_svd

SVD = np.linalg.svd


@pytest.mark.parametrize("failures", [0, 1, 2], ids=["at once", "transposed", "by eigenvectors"])
@pytest.mark.parametrize("shape", [(3, 7), (7, 3), (5, 5), (1, 4)])
def test_a_matrix_is_the_product_of_its_parts_even_where_lapack_gives_up(monkeypatch, shape, failures):
    matrix = np.random.default_rng(sum(shape)).normal(size=shape)
    expected = SVD(matrix, full_matrices=False)[1]
    left_to_fail = [failures]

    def gives_up(*arguments, **options):
        if left_to_fail[0]:
            left_to_fail[0] -= 1
            raise np.linalg.LinAlgError("SVD did not converge")
        return SVD(*arguments, **options)

    monkeypatch.setattr(np.linalg, "svd", gives_up)
    left, values, right = thin_svd(matrix)
    assert (left.shape, right.shape) == ((shape[0], min(shape)), (min(shape), shape[1]))
    assert np.allclose(left * values @ right, matrix)
    assert np.allclose(values, expected)
    assert (np.diff(values) <= 0).all()
    assert np.allclose(left.T @ left, np.eye(min(shape)))
    assert np.allclose(right @ right.T, np.eye(min(shape)))


def test_directions_without_any_extent_stay_orthogonal(monkeypatch):
    def gives_up(*_, **__):
        raise np.linalg.LinAlgError("SVD did not converge")

    monkeypatch.setattr(np.linalg, "svd", gives_up)
    matrix = np.outer([1.0, 2.0, 2.0], [3.0, 0.0, 4.0, 0.0])  # rank one
    left, values, right = thin_svd(matrix)
    assert np.allclose(values, [15, 0, 0], atol=1e-6)
    assert np.allclose(left * values @ right, matrix, atol=1e-6)
    assert np.allclose(right @ right.T, np.eye(3))
