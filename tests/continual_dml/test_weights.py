"""Pretrained weights: where they come from, and what is refused."""

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from continual_dml.embedding.backbones import build_backbone
from continual_dml.embedding.weights import imagenet_weights, load_backbone_weights, read_weights_file
from continual_dml.errors import SettingsError


def test_safetensors_and_pth_files_give_the_same_tensors_as_float32(tmp_path: Path) -> None:
    values = np.array([[1.0, 2.0]], dtype=np.float16)
    save_file({"layer.weight": values}, tmp_path / "a.safetensors")
    torch.save({"layer.weight": torch.from_numpy(values)}, tmp_path / "b.pth")
    for name in ("a.safetensors", "b.pth"):
        read = read_weights_file(tmp_path / name)["layer.weight"]
        assert read.dtype == np.float32
        assert read.tolist() == [[1.0, 2.0]]


class Evil:
    """Would run code if it were unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise SystemExit('code ran')",))


def test_a_pickle_with_code_in_it_is_refused_and_never_run(tmp_path: Path) -> None:
    torch.save({"layer": Evil()}, tmp_path / "evil.pth")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Evil()))
    for name in ("evil.pth", "plain.pt"):
        with pytest.raises(
            SettingsError, match="cannot read weights from .*use a safetensors file"
        ) as caught:
            read_weights_file(tmp_path / name)
        assert "\n" not in str(caught.value)
        assert "`False`" not in str(caught.value), "no advice to run it"


def test_a_missing_file_names_the_ways_out(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no weights file at .*--weights none"):
        read_weights_file(tmp_path / "nothing.safetensors")


def test_a_whole_model_instead_of_a_state_dict_is_refused(tmp_path: Path) -> None:
    torch.save({"state": {"layer": torch.zeros(1)}}, tmp_path / "nested.pth")
    with pytest.raises(SettingsError, match="export the state_dict alone"):
        read_weights_file(tmp_path / "nested.pth")


def test_weights_load_without_the_classifier() -> None:
    source, _ = build_backbone("resnet18", 32)
    weights = {name: value.numpy() + 1 for name, value in source.state_dict().items()}
    target, _ = build_backbone("resnet18", 32)
    load_backbone_weights(target, {**weights, "fc.weight": np.zeros((1000, 512))}, "resnet18")
    assert torch.equal(target.state_dict()["conv1.weight"], source.state_dict()["conv1.weight"] + 1)


def test_missing_and_misshapen_tensors_are_named() -> None:
    backbone, _ = build_backbone("conv4", 32)
    weights = {name: value.numpy() for name, value in backbone.state_dict().items()}
    short = {name: value for name, value in weights.items() if name != "blocks.0.0.weight"}
    with pytest.raises(SettingsError, match="1 of its tensors are missing, first 'blocks.0.0.weight'"):
        load_backbone_weights(backbone, short, "conv4")
    with pytest.raises(SettingsError, match="'blocks.0.0.weight' is \\(2, 2\\)"):
        load_backbone_weights(backbone, {**weights, "blocks.0.0.weight": np.zeros((2, 2))}, "conv4")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def test_uncached_imagenet_weights_are_never_downloaded_unasked(cache: Path) -> None:
    with pytest.raises(SettingsError, match="not in the cache folder .*--weights imagenet.*--weights none"):
        imagenet_weights("mobilenet_v2", download=False)
    assert not list(cache.iterdir())


def test_a_cached_file_with_the_wrong_hash_is_refused(cache: Path) -> None:
    (cache / "mobilenet_v2-7ebf99e0.pth").write_bytes(b"not the weights")
    with pytest.raises(SettingsError, match="is damaged: its SHA-256 does not begin with 7ebf99e0"):
        imagenet_weights("mobilenet_v2", download=False)


def test_a_cached_file_with_the_right_hash_is_read(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"layer": torch.ones(2)}, cache / "draft.pth")
    digits = hashlib.sha256((cache / "draft.pth").read_bytes()).hexdigest()[:8]
    (cache / "draft.pth").rename(cache / f"mobilenet_v2-{digits}.pth")
    from continual_dml.embedding import weights

    monkeypatch.setattr(weights, "_weights_url", lambda _: f"https://example.org/mobilenet_v2-{digits}.pth")
    assert imagenet_weights("mobilenet_v2", download=False)["layer"].tolist() == [1.0, 1.0]


def test_a_backbone_without_imagenet_weights_is_told_so() -> None:
    with pytest.raises(SettingsError, match="no ImageNet weights for 'conv4'"):
        imagenet_weights("conv4", download=False)
