"""Exported models compute what searches compute: every kind of network and head, batches of any size."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from continual_dml.embedding.embedder import Embedder, build_embedder
from continual_dml.embedding.extract import extract_each, side_by_side
from continual_dml.embedding.precision import Compute
from continual_dml.errors import CdmlError
from continual_dml.interchange import ModelCard
from continual_dml.memory.discriminant_head import DiscriminantHead
from continual_dml.settings import ModelSettings
from continual_dml.strategies.heads import EnsembleHead, Head, TrainedHead, joined_head
from continual_dml.strategies.served import ServedModel
from continual_dml.workflows.export_model import graph_of, random_squares
from storage.exports.onnx_model import onnx_bytes, run_onnx
from storage.exports.torch_program import run_program, torch_bytes

SIDE, STORED = 32, 36
CPU = Compute(torch.device("cpu"), bf16=False)


def networks(*backbones: str, feature_map: str = "plain") -> list[Embedder]:
    settings = ModelSettings(
        backbone=backbones[0],
        pretrained=False,
        embedding_dim=8,
        image_side_pixels=SIDE,
        feature_map=feature_map,
        cohort=len(backbones),
        cohort_backbones=backbones[1:],
    )
    built = [build_embedder(settings.of_member(n), None, seed=n) for n in range(len(backbones))]
    return [embedder.eval() for embedder in built]


def trained(embedder: Embedder) -> Head:
    weight = embedder.projection.weight.detach().numpy()
    return TrainedHead(weight, embedder.settings.takes_square_root)


def discriminant(embedder: Embedder) -> Head:
    random = np.random.default_rng(embedder.feature_dim)
    shape = (embedder.feature_dim, 8)
    return DiscriminantHead(random.normal(size=shape), random.normal(size=shape[0]) * 0.1)


def joined(embedders: Sequence[Embedder], kind: Callable[[Embedder], Head], width: int | None = None) -> Head:
    dimension = 8 * len(embedders)
    axes, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(dimension, dimension)))
    reduction = None if width is None else axes[:, :width]
    return joined_head([kind(one) for one in embedders], [one.feature_dim for one in embedders], reduction)


def expected(embedders: Sequence[Embedder], head: Head, squares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    features = side_by_side(extract_each(embedders, squares, CPU))
    return head(features), features


def card(embedders: Sequence[Embedder]) -> ModelCard:
    names, features = [one.settings.backbone for one in embedders], sum(one.feature_dim for one in embedders)
    return ModelCard(7, "m" * 64, "0" * 64, "h" * 64, tuple(names), 8, features, STORED, SIDE, "0.0")


@pytest.mark.parametrize(
    "backbones", [("conv4",), ("mobilenet_v2",), ("squeezenet1_1", "conv4")], ids="+".join
)
@pytest.mark.parametrize("feature_map", ["plain", "sqrt"])
@pytest.mark.parametrize("kind", [trained, discriminant])
def test_one_module_is_the_whole_way_of_a_search(backbones, feature_map, kind):
    embedders = networks(*backbones, feature_map=feature_map)
    squares = random_squares(3, STORED)
    for width in (None, 5) if len(backbones) > 1 else (None,):
        head = joined(embedders, kind, width)
        embedding, feature = ServedModel(embedders, head)(torch.from_numpy(squares))
        wanted, features = expected(embedders, head, squares)
        assert np.allclose(feature, features, rtol=1e-4, atol=1e-5)
        assert np.allclose(embedding, wanted, atol=1e-4)
        assert embedding.shape == (3, width or 8 * len(backbones))


def test_what_is_mapped_to_zero_stays_zero():
    (embedder,) = networks("conv4")
    head = TrainedHead(np.zeros((8, embedder.feature_dim), dtype=np.float32), square_root=False)
    embedding, _ = ServedModel([embedder], head)(torch.from_numpy(random_squares(2, STORED)))
    assert embedding.tolist() == [[0.0] * 8] * 2


def test_the_module_has_weights_of_its_own_and_leaves_the_networks_as_they_were():
    (embedder,) = networks("conv4")
    served = ServedModel([embedder], trained(embedder))
    for parameter in served.parameters():
        parameter.zero_()
    assert all(bool(one.any()) for one in embedder.backbone.parameters() if one.ndim > 1)
    assert all(one.requires_grad for one in embedder.parameters())


def test_a_head_of_an_unknown_kind_is_no_silent_answer():
    (embedder,) = networks("conv4")
    with pytest.raises(TypeError, match="serve"):
        ServedModel([embedder], lambda features: features)


@given(st.integers(1, 6), st.integers(4, 40))
@settings(max_examples=10, deadline=None)
def test_random_squares_are_bytes_and_always_the_same(count, side):
    squares = random_squares(count, side)
    assert squares.shape == (count, side, side, 3)
    assert squares.dtype == np.uint8
    assert np.array_equal(squares, random_squares(count, side))
    assert squares.std() > 10


def test_onnx_runtime_gives_a_cohorts_vectors_one_by_one_and_five_at_a_time():
    embedders = networks("mobilenet_v2", "squeezenet1_1", feature_map="sqrt")
    head = joined(embedders, trained, width=8)
    assert isinstance(head, EnsembleHead)
    graph = graph_of(ServedModel(embedders, head), card(embedders))
    content = onnx_bytes(graph, card(embedders))
    for count in (1, 5):
        squares = random_squares(count, STORED)
        wanted, features = expected(embedders, head, squares)
        embedding, feature = run_onnx(content, squares)
        assert np.abs(embedding - wanted).max() < 1e-5
        assert np.abs(feature - features).max() < 1e-4 * np.abs(features).max()
    assert ModelCard.from_text(_metadata(content)["cdml"]) == card(embedders)


def _metadata(content: bytes) -> dict[str, str]:
    import onnx

    model = onnx.load_from_string(content)
    onnx.checker.check_model(model)
    assert [one.name for one in model.graph.output] == ["embedding", "feature"]
    assert all(not tensor.external_data for tensor in model.graph.initializer)
    return {entry.key: entry.value for entry in model.metadata_props}


def test_pytorch_alone_loads_the_program(tmp_path):
    embedders = networks("conv4", feature_map="sqrt")
    head = joined(embedders, discriminant)
    graph = graph_of(ServedModel(embedders, head), card(embedders))
    squares = random_squares(5, STORED)
    content = torch_bytes(graph, card(embedders))
    wanted, _ = expected(embedders, head, squares)
    assert np.abs(run_program(content, squares)[0] - wanted).max() < 1e-5
    (tmp_path / "model.pt2").write_bytes(content)
    np.save(tmp_path / "squares.npy", squares)
    alone = """
import sys, numpy, torch
texts = {"cdml": ""}
module = torch.export.load("model.pt2", extra_files=texts).module()
for count in (1, 5):
    embedding, feature = module(torch.from_numpy(numpy.load("squares.npy")[:count]))
numpy.save("embedding.npy", embedding.numpy())
assert not {"continual_dml", "storage", "cli"} & set(sys.modules)
print(texts["cdml"])
"""
    done = subprocess.run(
        [sys.executable, "-I", "-c", alone], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert ModelCard.from_text(done.stdout) == card(embedders)
    assert np.abs(np.load(tmp_path / "embedding.npy") - wanted).max() < 1e-5


def test_a_file_that_is_no_model_is_one_line():
    with pytest.raises(CdmlError, match="cannot run the exported model"):
        run_onnx(b"nonsense", random_squares(1, STORED))
