"""The embedder, its preprocessing, and feature extraction."""

import numpy as np
import pytest
import torch
from torch import nn

from continual_dml.embedding.embedder import build_embedder, embedder_state, restore_embedder
from continual_dml.embedding.extract import extract, feature_map
from continual_dml.embedding.precision import Compute, choose_compute
from continual_dml.embedding.preprocessing import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    centre_crop,
    normalised,
    training_views,
)
from continual_dml.errors import GalleryError, SettingsError
from continual_dml.settings import ModelSettings

SMALL = ModelSettings(backbone="conv4", pretrained=False, embedding_dim=8, image_side_pixels=32)
CPU = Compute(torch.device("cpu"), bf16=False)


def squares(count: int, side: int = 36, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, size=(count, side, side, 3), dtype=np.uint8)


def test_embeddings_are_unit_vectors_and_norms_are_those_of_the_raw_outputs() -> None:
    embedded = build_embedder(SMALL, None, seed=0).eval()(normalised(centre_crop(squares(3), 32), CPU.device))
    assert embedded.features.shape == (3, 576)
    assert torch.allclose(embedded.embeddings.norm(dim=1), torch.ones(3), atol=1e-6)
    assert torch.allclose(embedded.embeddings * embedded.norms[:, None], embedded.outputs, atol=1e-5)


def test_the_same_seed_gives_the_same_network_and_leaves_the_global_random_state_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, second = (embedder_state(build_embedder(SMALL, None, seed=3)) for _ in range(2))
    assert torch.equal(torch.rand(1), expected)
    assert all(np.array_equal(first[name], second[name]) for name in first)
    other = embedder_state(build_embedder(SMALL, None, seed=4))
    assert not np.array_equal(first["projection.weight"], other["projection.weight"])


def test_a_restored_embedder_says_exactly_the_same() -> None:
    embedder = build_embedder(SMALL, None, seed=0)
    again = restore_embedder(SMALL, embedder_state(embedder))
    assert np.array_equal(extract(embedder, squares(5), CPU).outputs, extract(again, squares(5), CPU).outputs)


def test_weights_of_another_network_are_refused_in_one_line() -> None:
    other = ModelSettings(backbone="conv4", pretrained=False, embedding_dim=16, image_side_pixels=32)
    with pytest.raises(GalleryError, match=r"does not fit backbone 'conv4'.*cdml\.toml") as caught:
        restore_embedder(other, embedder_state(build_embedder(SMALL, None, seed=0)))
    assert "\n" not in str(caught.value)


def test_frozen_batch_norm_is_not_moved_by_training() -> None:
    frozen = ModelSettings(
        backbone="densenet121", pretrained=False, image_side_pixels=32, freeze_batch_norm="yes"
    )
    embedder = build_embedder(frozen, None, seed=0).train()
    norms = [m for m in embedder.backbone.modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms, "densenet keeps the norms that no convolution precedes"
    assert not any(norm.training or norm.weight.requires_grad for norm in norms)


def test_extraction_does_not_depend_on_how_images_are_grouped() -> None:
    embedder, pixels = build_embedder(SMALL, None, seed=0), squares(70)
    whole = extract(embedder, pixels, CPU)
    single = extract(embedder, pixels[66:67], CPU)
    assert np.allclose(whole.features[66], single.features[0], atol=1e-5)
    assert embedder.training, "extraction leaves the mode as it was"


def test_no_image_gives_no_row() -> None:
    assert extract(build_embedder(SMALL, None, seed=0), squares(0), CPU).features.shape == (0, 576)


def test_the_square_root_keeps_the_sign() -> None:
    assert feature_map(np.array([[4.0, -9.0, 0.0]]), square_root=True).tolist() == [[2.0, -3.0, 0.0]]
    assert feature_map(np.array([[4.0]]), square_root=False).tolist() == [[4.0]]


def test_the_centre_crop_is_the_middle() -> None:
    pixels = np.zeros((1, 6, 6, 3), dtype=np.uint8)
    pixels[0, 1:5, 1:5] = 9
    assert (centre_crop(pixels, 4) == 9).all()


def views_of(pixels: np.ndarray, side: int, flip: bool, smallest_crop: float) -> np.ndarray:
    """Return training views (B, side, side, 3) with the normalisation taken back."""
    views = training_views(
        torch.from_numpy(pixels),
        side,
        flip=flip,
        smallest_crop=smallest_crop,
        random=np.random.default_rng(0),
        device=CPU.device,
    )
    assert views.is_contiguous(memory_format=torch.channels_last)
    return (views.permute(0, 2, 3, 1).numpy() * IMAGENET_STD + IMAGENET_MEAN) * 255


def test_training_views_are_windows_of_the_square_some_of_them_mirrored() -> None:
    pixels, mirrored = squares(64, side=6), 0
    for square, view in zip(pixels, views_of(pixels, 4, True, 1.0), strict=True):
        windows = [square[t : t + 4, left : left + 4] for t in range(3) for left in range(3)]
        straight = any(np.allclose(window, view, atol=0.05) for window in windows)
        mirrored += not straight
        assert straight or any(np.allclose(window[:, ::-1], view, atol=0.05) for window in windows)
    assert 16 < mirrored < 48
    assert np.allclose(views_of(pixels, 6, False, 1.0), pixels, atol=0.05)


def test_mid_grey_of_imagenet_becomes_zero() -> None:
    grey = torch.tensor([0.485, 0.456, 0.406]).mul(255).round().to(torch.uint8).expand(1, 2, 2, 3)
    images = normalised(grey, CPU.device)
    assert images.shape == (1, 3, 2, 2)
    assert images.abs().max() < 0.01
    assert images.is_contiguous(memory_format=torch.channels_last)


def test_asking_for_cuda_where_there_is_none_is_an_error() -> None:
    if torch.cuda.is_available():
        assert choose_compute("cuda", "fp32").device.type == "cuda"
    else:
        with pytest.raises(SettingsError, match="no CUDA device"):
            choose_compute("cuda", "fp32")
    assert choose_compute("cpu", "fp32") == CPU
    assert choose_compute("cpu", "bf16").bf16


def test_smaller_windows_are_scaled_up_to_what_the_network_sees() -> None:
    ramp = np.arange(0, 240, 10, dtype=np.uint8)[None, None, :, None]
    gradient = np.broadcast_to(ramp, (32, 24, 24, 3)).copy()
    views = views_of(gradient, 16, False, 0.5)
    steps = np.diff(views[:, 8, 2:-2, 0], axis=1).mean(axis=1)
    assert views.shape == (32, 16, 16, 3)
    assert 4.9 < steps.min() < 6, "the smallest window of 8 pixels is shown twice as large"
    assert 9 < steps.max() < 10.1, "the largest one as it is"
