"""Damage in any published file is met with one typed error, never with a wrong answer."""

from __future__ import annotations

import pytest

from continual_dml.errors import CatalogError, CdmlError, CorruptIndex
from storage.artefacts import PublishedArtefacts
from storage.manifest import Manifest, check_name
from storage.reader import WorkspaceReader
from storage.store import WorkspaceStore
from storage.summary import read_report, read_status
from storage.tensor_files import parse_tensors

NAMES = ["initial.safetensors", "model.safetensors", "index.safetensors", "report.json", "MANIFEST.json"]


@pytest.fixture
def published(workspace, publish, tmp_path):
    with WorkspaceStore(workspace) as store:
        publish(store, "first", tmp_path)
    return workspace


def _read_everything(workspace):
    with WorkspaceReader(workspace) as reader:
        reader.index()
        for name in reader.artefacts.all_names():
            if name.endswith(".safetensors"):
                reader.artefacts.read_tensors(name)
            else:
                reader.artefacts.read_bytes(name)


@pytest.mark.parametrize("name", NAMES)
def test_a_flipped_byte_anywhere_is_noticed(published, name):
    path = published.generation_dir(1) / name
    content = path.read_bytes()
    for position in {0, 9, len(content) // 2, len(content) - 1}:
        path.write_bytes(content[:position] + bytes([content[position] ^ 0x40]) + content[position + 1 :])
        with pytest.raises(CorruptIndex) as caught:
            _read_everything(published)
        assert name in str(caught.value)
        assert caught.value.exit_code == 7
    path.write_bytes(content)
    _read_everything(published)


@pytest.mark.parametrize("name", NAMES)
def test_a_truncated_missing_or_linked_file_is_noticed(published, name, tmp_path):
    path = published.generation_dir(1) / name
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(CorruptIndex):
        _read_everything(published)
    path.unlink()
    with pytest.raises(CorruptIndex):
        _read_everything(published)
    (tmp_path / "elsewhere").write_bytes(content)
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CorruptIndex):
        _read_everything(published)
    path.unlink()
    path.mkdir()
    with pytest.raises(CorruptIndex):
        _read_everything(published)


def test_status_and_report_notice_damage_too(published):
    report = published.generation_dir(1) / "report.json"
    report.write_bytes(b"{}")
    with pytest.raises(CorruptIndex):
        read_report(published)
    (published.generation_dir(1) / "MANIFEST.json").write_bytes(b"{}")
    with pytest.raises(CorruptIndex):
        read_status(published)


def test_the_writer_notices_a_missing_generation(published):
    with WorkspaceStore(published) as store:
        for path in published.generation_dir(1).iterdir():
            path.unlink()
        with pytest.raises(CorruptIndex, match="is missing"):
            store.open_generation(store.head())


def test_a_file_that_the_manifest_does_not_name_is_not_read(published):
    with WorkspaceReader(published) as reader, pytest.raises(CorruptIndex, match=r"no file other\.json"):
        reader.artefacts.read_json("other.json")


def test_a_manifest_of_another_generation_is_refused(published, publish, tmp_path):
    from dataclasses import replace

    with WorkspaceStore(published) as store:
        head = store.head()
    with pytest.raises(CorruptIndex, match="another generation"):
        PublishedArtefacts.open(published.generation_dir(1), replace(head, generation_id=9))


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"null", b'{"format_version": 2}', b'{"format_version": 1}']
)
def test_a_document_that_is_no_manifest_is_refused(content):
    with pytest.raises(CorruptIndex):
        Manifest.from_bytes(content, "MANIFEST.json")


@pytest.mark.parametrize("name", ["", "..", "a/b", "/etc/passwd", "MANIFEST.json", "x\n", "x" * 200])
def test_a_manifest_cannot_name_files_elsewhere(name):
    with pytest.raises(ValueError, match="no artefact name"):
        check_name(name)


def test_a_huge_header_is_refused_before_it_is_parsed():
    with pytest.raises(CorruptIndex, match="header of"):
        parse_tensors((2_000_000).to_bytes(8, "little") + b"{}", "model.safetensors")


@pytest.mark.parametrize(
    "content", [b"", b"abc", (5).to_bytes(8, "little") + b"{bad}", b"\x80\x04K\x01." * 10]
)
def test_a_document_that_is_no_safetensors_file_is_refused(content):
    with pytest.raises(CorruptIndex):
        parse_tensors(content, "model.safetensors")


@pytest.mark.parametrize("content", [b"", b"no database at all" * 100])
def test_a_damaged_catalogue_is_a_one_line_error(published, content):
    for path in published.root.glob("catalog.db*"):
        path.unlink()
    (published.root / "catalog.db").write_bytes(content)
    for action in (_read_everything, read_status):
        with pytest.raises(CatalogError) as caught:
            action(published)
        assert "\n" not in str(caught.value)


def test_a_missing_catalogue_is_not_made_anew_by_a_reader(published):
    for path in published.root.glob("catalog.db*"):
        path.unlink()
    for action in (_read_everything, read_status):
        with pytest.raises(CdmlError):
            action(published)
    assert list(published.root.glob("catalog.db")) == []
