"""Files embedded again after an interruption: only the rest is read, and the bits are the same."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from continual_dml.embedding import kept_chunks
from continual_dml.embedding.embedder import Embedder, build_embedder
from continual_dml.embedding.extract import extract_each
from continual_dml.embedding.kept_chunks import extract_in_chunks
from continual_dml.embedding.precision import Compute
from continual_dml.ports import SilentListener
from continual_dml.settings import ModelSettings, StreamSettings
from continual_dml.workflows.embed_files import embed_files
from storage import durable, embedded_shards
from storage.embedded_shards import WorkspaceShards
from streams.image_reader import ThreadedImageReader
from tests.continual_dml.conftest import draw_category

CPU = Compute(torch.device("cpu"), bf16=False)
MODEL = ModelSettings(backbone="conv4", pretrained=False, embedding_dim=8, image_side_pixels=16)
FILES, CHUNK = 20, 6


class CountingReader(ThreadedImageReader):
    """The real reader, which remembers what it was asked for and may be interrupted before a call."""

    def __init__(self, interrupted_at: int | None = None) -> None:
        super().__init__(MODEL.stored_side_pixels, StreamSettings())
        self.asked: list[str] = []
        self._calls = 0
        self._interrupted_at = interrupted_at

    def read(self, paths, expected_hashes=None):
        if self._calls == self._interrupted_at:
            raise KeyboardInterrupt
        self._calls += 1
        self.asked += [Path(path).name for path in paths]
        return super().read(paths, expected_hashes)


class Notes(SilentListener):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, message: str) -> None:
        self.lines.append(message)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small chunks, each of them kept."""
    monkeypatch.setattr(kept_chunks, "CHUNK_IMAGES", CHUNK)
    monkeypatch.setattr(embedded_shards, "EVERY_SECONDS", 0.0)


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    draw_category(tmp_path / "category", 3, pictures=FILES)
    return sorted(map(str, (tmp_path / "category").iterdir()))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "shards"


def network(seed: int = 0) -> Embedder:
    return build_embedder(MODEL, None, seed)


def hashes_of(paths: list[str]) -> list[str]:
    return [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in paths]


def embedded(paths, directory=None, *, reader=None, model=None, hashes=None, key="a" * 64, notes=None):
    shards = None if directory is None else WorkspaceShards(directory, 2, key)
    return embed_files(
        paths, hashes or hashes_of(paths), [model or network()], CPU, reader or CountingReader(),
        notes or Notes(), shards,
    )  # fmt: skip


def interrupted(paths: list[str], directory: Path, at: int = 2, **options) -> None:
    with pytest.raises(KeyboardInterrupt):
        embedded(paths, directory, reader=CountingReader(at), **options)


def again(paths: list[str], directory: Path, **options) -> tuple[list[str], bool, list[str]]:
    """Return the files read in a second run, whether its result is that of an undisturbed one, and notes."""
    reader, notes = CountingReader(), Notes()
    found = embedded(paths, directory, reader=reader, notes=notes, **options)
    options.pop("key", None)
    whole = embedded(paths, **options)
    same = all(np.array_equal(one, other) for one, other in zip(found, whole, strict=True))
    return reader.asked, same, notes.lines


def names(paths: list[str]) -> list[str]:
    return [Path(path).name for path in paths]


def test_a_resumed_run_reads_only_the_rest_and_gives_the_same_bits(paths, directory):
    interrupted(paths, directory)

    asked, same, notes = again(paths, directory)

    assert asked == names(paths[2 * CHUNK :])
    assert same
    assert notes == ["takes over 12 of 20 embedded images of an interrupted run"]


def test_a_run_may_be_interrupted_again_and_again(paths, directory):
    for _ in range(3):
        interrupted(paths, directory, at=1)

    assert again(paths, directory)[:2] == (names(paths[3 * CHUNK :]), True)


def test_what_another_model_made_is_not_taken(paths, directory):
    interrupted(paths, directory)

    asked, same, _ = again(paths, directory, model=network(seed=1))

    assert (asked, same) == (names(paths), True)


def test_what_another_run_made_is_not_taken_and_not_left_lying(paths, directory):
    interrupted(paths, directory, key="b" * 64)

    assert again(paths, directory)[:2] == (names(paths), True)
    assert all(path.name.startswith("00000002-" + "a" * 64) for path in directory.iterdir())


def test_other_files_or_another_order_of_them_begin_anew(paths, directory):
    interrupted(paths, directory)

    assert again(paths[::-1], directory)[:2] == (names(paths[::-1]), True)
    assert again(paths[1:], directory)[:2] == (names(paths[1:]), True)


@pytest.mark.parametrize("harm", ["cut", "flipped", "empty", "missing", "renamed", "link", "pipe"])
def test_a_shard_that_is_not_whole_is_embedded_again(paths, directory, tmp_path, harm):
    interrupted(paths, directory)
    shard = max(directory.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    content = shard.read_bytes()
    shard.unlink()
    if harm in ("cut", "flipped", "empty"):
        broken = {"cut": content[:-3], "flipped": content[:-3] + bytes([content[-3] ^ 1]) + content[-2:]}
        shard.write_bytes(broken.get(harm, b""))
    elif harm == "renamed":
        shard.with_name("00000002-" + "a" * 64 + "-" + "0" * 64).write_bytes(content)
    elif harm == "link":
        (tmp_path / "elsewhere").write_bytes(content)
        shard.symlink_to(tmp_path / "elsewhere")
    elif harm == "pipe":
        os.mkfifo(shard)

    asked, same, _ = again(paths, directory)

    assert asked == names(paths[CHUNK:])
    assert same


def test_a_file_that_came_back_meanwhile_is_embedded_with_the_rest(paths, directory, tmp_path):
    hashes = hashes_of(paths)
    away = Path(paths[1]).rename(tmp_path / "away.png")
    interrupted(paths, directory, hashes=hashes)
    away.rename(paths[1])

    found, positions = embedded(paths, directory, hashes=hashes)

    assert positions.tolist() == list(range(FILES))
    np.testing.assert_allclose(found, embedded(paths, hashes=hashes)[0], atol=1e-6)


def test_a_file_that_changed_is_left_out_unless_it_was_embedded_before(paths, directory):
    hashes = hashes_of(paths)
    before = embedded(paths, hashes=hashes)[0]
    interrupted(paths, directory, hashes=hashes)
    for changed in (paths[0], paths[-1]):
        Path(changed).write_bytes(b"something else")

    found, positions = embedded(paths, directory, hashes=hashes)

    assert positions.tolist() == list(range(FILES - 1))
    np.testing.assert_array_equal(found[: 3 * CHUNK], before[: 3 * CHUNK])


def test_nothing_is_written_within_the_first_minute(paths, directory, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(embedded_shards, "EVERY_SECONDS", 60.0)
    monkeypatch.setattr(embedded_shards.time, "monotonic", lambda: now[0])
    shards = WorkspaceShards(directory, 2, "a" * 64)
    now[0] += 59
    assert shards.keep("first", {"features": np.ones((2, 3), np.float32)}) is None
    assert not directory.exists()
    now[0] += 1
    shards.keep("second", {"features": np.zeros((2, 3), np.float32)})
    shards.keep("third", {"features": np.zeros((2, 3), np.float32)})
    found = WorkspaceShards(directory, 2, "a" * 64)
    assert found.find("first")["features"].tolist() == [[1.0] * 3] * 2
    assert found.find("second") is not None
    assert found.find("third") is None
    assert len(list(directory.iterdir())) == 1


def test_a_disk_that_refuses_is_told_once_and_the_images_are_embedded_nevertheless(
    paths, directory, monkeypatch
):
    def refuse(*_):
        raise durable.WorkspaceError("cannot write: no space left")

    monkeypatch.setattr(durable, "write_file", refuse)
    notes = Notes()
    _, positions = embedded(paths, directory, notes=notes)
    assert len(positions) == FILES
    assert notes.lines == ["an interruption would lose what is embedded so far: cannot write: no space left"]


def test_pixels_in_memory_are_taken_over_too_for_each_network_of_a_cohort(paths, directory):
    pixels, _ = CountingReader().read(paths)
    members = [network(0), network(1)]
    listener = SilentListener()
    whole = extract_each(members, pixels, CPU)

    class Ending(WorkspaceShards):
        kept = 0

        def keep(self, name, arrays):
            self.kept += 1
            super().keep(name, arrays)
            if self.kept == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract_in_chunks(members, pixels, CPU, listener, Ending(directory, 2, "a" * 64))
    forwards = []
    members[0].register_forward_hook(lambda *_: forwards.append(1))
    found = extract_in_chunks(members, pixels, CPU, listener, WorkspaceShards(directory, 2, "a" * 64))
    assert len(forwards) == 2, "four chunks, two of which were kept"
    for one, other in zip(found, whole, strict=True):
        np.testing.assert_allclose(one.features, other.features, atol=1e-6)
        np.testing.assert_allclose(one.outputs, other.outputs, atol=1e-6)


def test_whole_chunks_give_the_bits_of_one_pass(tmp_path, directory, monkeypatch):
    monkeypatch.undo()
    pixels = np.random.default_rng(0).integers(0, 256, (600, 16, 16, 3), dtype=np.uint8)
    whole = extract_each([network()], pixels, CPU)[0]
    found = extract_in_chunks(
        [network()], pixels, CPU, SilentListener(), WorkspaceShards(directory, 2, "a" * 64)
    )
    assert np.array_equal(found[0].features, whole.features)
    assert np.array_equal(found[0].outputs, whole.outputs)
