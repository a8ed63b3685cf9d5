"""Files of weights that mean harm: one line says what is wrong, nothing runs, and memory stays bounded."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from continual_dml.embedding.backbones import Conv4
from continual_dml.embedding.weights import read_weights_file
from continual_dml.errors import SettingsError
from tests.hostile.documents import BROKEN


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_document_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.safetensors").write_bytes(BROKEN[name])
    with pytest.raises(SettingsError, match="a.safetensors") as caught:
        read_weights_file(tmp_path / "a.safetensors")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("ending", ["safetensors", "pth"])
def test_numbers_that_are_not_finite_are_refused(tmp_path: Path, wrong: float, ending: str) -> None:
    tensors = {"fine": torch.ones(3), "layer.weight": torch.tensor([1.0, wrong])}
    path = tmp_path / f"a.{ending}"
    save_file(tensors, path) if ending == "safetensors" else torch.save(tensors, path)
    with pytest.raises(SettingsError, match="'layer.weight' holds numbers that are not finite"):
        read_weights_file(path)


def test_a_float64_that_no_float32_can_hold_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.tensor([1e300], dtype=torch.float64)}, tmp_path / "a.pth")
    with pytest.raises(SettingsError, match="not finite"):
        read_weights_file(tmp_path / "a.pth")


@pytest.mark.parametrize(
    "odd",
    [
        torch.zeros(2, dtype=torch.complex64),
        torch.zeros(2, dtype=torch.uint8),
        torch.eye(3).to_sparse(),
        torch.zeros(3, device="meta"),
    ],
    ids=["complex", "bytes", "sparse", "without numbers"],
)
def test_only_plain_numbers_are_taken(tmp_path: Path, odd: torch.Tensor) -> None:
    torch.save({"a": odd}, tmp_path / "a.pth")
    with pytest.raises(SettingsError, match="a.pth") as caught:
        read_weights_file(tmp_path / "a.pth")
    assert "\n" not in str(caught.value)


def test_one_number_repeated_a_billion_times_fills_no_memory(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1, dtype=torch.float16).expand(10**12)}, tmp_path / "a.pth")
    with pytest.raises(SettingsError, match="its tensors are larger than the file"):
        read_weights_file(tmp_path / "a.pth")


def test_compressed_parts_are_not_unpacked(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1000)}, tmp_path / "a.pth")
    with zipfile.ZipFile(tmp_path / "a.pth") as whole, zipfile.ZipFile(tmp_path / "b.pth", "w") as packed:
        for one in whole.infolist():
            packed.writestr(one.filename, whole.read(one), zipfile.ZIP_DEFLATED)
    with pytest.raises(SettingsError, match="its parts are compressed"):
        read_weights_file(tmp_path / "b.pth")


def test_parameters_are_tensors_too(tmp_path: Path) -> None:
    torch.save({"a": torch.nn.Parameter(torch.ones(2))}, tmp_path / "a.pth")
    assert read_weights_file(tmp_path / "a.pth")["a"].tolist() == [1.0, 1.0]


def test_nothing_but_the_networks_own_names_gets_into_a_workspace(tmp_path: Path) -> None:
    from cli.starting_weights import starting_weights
    from continual_dml.settings import ModelSettings

    own = Conv4().state_dict()
    path = tmp_path / "a.safetensors"
    foreign = {"../../x": torch.ones(1), "1:blocks.0.0.weight": torch.ones(1), "fc.weight": torch.ones(9)}
    save_file({**own, **foreign}, path)
    model = ModelSettings(backbone="conv4", image_side_pixels=16, embedding_dim=8, cohort=2)
    kept = starting_weights(model, str(path)).tensors
    assert kept is not None
    assert kept.keys() == own.keys()
