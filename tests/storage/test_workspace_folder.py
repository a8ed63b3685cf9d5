from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import save

from continual_dml.errors import CatalogError, CorruptIndex, SettingsError, UnknownChoice, WorkspaceError
from storage.store import WorkspaceStore
from storage.workspace import Workspace

WEIGHTS = save({"layer.weight": np.arange(6, dtype=np.float32).reshape(2, 3)})


def test_a_new_workspace_is_opened_with_the_settings_it_was_made_with(tmp_path, small_settings):
    made = Workspace.create(tmp_path / "a" / "b", small_settings)
    opened = Workspace.open(tmp_path / "a" / "b")
    assert opened.settings == made.settings == small_settings
    assert opened.initial_weights() is None
    assert opened.database_label == str(tmp_path / "a" / "b" / "catalog.db")
    assert {path.name for path in opened.root.iterdir()} == {
        "LOCK",
        "catalog.db",
        "cdml.toml",
        "gen",
        "queries",
    }


def test_a_workspace_can_be_moved(workspace, publish, tmp_path):
    with WorkspaceStore(workspace) as store:
        publish(store, "first", tmp_path / "images")
    moved = workspace.root.rename(tmp_path / "moved #1?%20")
    with WorkspaceStore(Workspace.open(moved)) as store:
        publish(store, "second", tmp_path / "images")
        assert len(store.tasks()) == 2
    assert (moved / "catalog.db").is_file()


def test_a_second_workspace_in_the_same_folder_is_refused(workspace, small_settings):
    with pytest.raises(WorkspaceError, match="exists already"):
        Workspace.create(workspace.root, small_settings)


def test_a_folder_with_other_files_is_refused(tmp_path, small_settings):
    (tmp_path / "holiday.jpg").write_bytes(b"")
    with pytest.raises(WorkspaceError, match=r"holiday\.jpg"):
        Workspace.create(tmp_path, small_settings)
    with pytest.raises(WorkspaceError, match="is a file"):
        Workspace.create(tmp_path / "holiday.jpg", small_settings)


def test_an_interrupted_creation_is_taken_up_again(workspace, small_settings):
    workspace.settings_file.unlink()
    again = Workspace.create(workspace.root, small_settings, initial_weights=WEIGHTS)
    assert again.initial_weights() is not None


def test_a_catalogue_with_tasks_is_never_taken_for_an_interrupted_creation(
    workspace, publish, small_settings, tmp_path
):
    with WorkspaceStore(workspace) as store:
        publish(store, "first", tmp_path)
    workspace.settings_file.unlink()
    with pytest.raises(WorkspaceError, match="another workspace"):
        Workspace.create(workspace.root, small_settings)


def test_a_missing_workspace_is_an_error_that_names_the_command(tmp_path):
    with pytest.raises(WorkspaceError, match=f"no workspace at {tmp_path}: run `cdml init -w {tmp_path}`"):
        Workspace.open(tmp_path)


@pytest.mark.parametrize(
    "text",
    ["", "not toml", "[workspace]", "workspace = 3", "[workspace]\nformat_version = 9", "\udcff"],
)
def test_a_damaged_settings_file_is_an_error(workspace, text):
    workspace.settings_file.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(WorkspaceError, match=r"cdml\.toml"):
        Workspace.open(workspace.root)


def test_a_wrong_value_in_the_settings_file_names_file_and_setting(workspace):
    text = workspace.settings_file.read_text()
    workspace.settings_file.write_text(text.replace("image_side_pixels = 32", "image_side_pixels = 1"))
    with pytest.raises(SettingsError, match=r"cdml\.toml: image-side is 1"):
        Workspace.open(workspace.root)
    workspace.settings_file.write_text(text.replace("image_side_pixels", "image_side"))
    with pytest.raises((UnknownChoice, SettingsError), match="image_side"):
        Workspace.open(workspace.root)


def test_initial_weights_are_kept_with_hash_and_origin(tmp_path, small_settings):
    note = {"source": "torchvision", "url": None, "top1": 71.9}
    Workspace.create(tmp_path / "w", small_settings, None, WEIGHTS, note)
    opened = Workspace.open(tmp_path / "w")
    assert opened.initial_weights()["layer.weight"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert opened.weights_note == {"source": "torchvision", "top1": 71.9}


def test_changed_or_missing_initial_weights_are_refused(tmp_path, small_settings):
    opened = Workspace.create(tmp_path / "w", small_settings, initial_weights=WEIGHTS)
    opened.initial_weights_file.write_bytes(WEIGHTS[:-1] + b"\x01")
    with pytest.raises(CorruptIndex):
        opened.initial_weights()
    opened.initial_weights_file.unlink()
    with pytest.raises(CorruptIndex):
        opened.initial_weights()


def test_a_database_elsewhere_is_used_and_belongs_to_one_workspace(tmp_path, small_settings, publish):
    url = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    first = Workspace.create(tmp_path / "one", small_settings, url)
    with WorkspaceStore(first) as store:
        publish(store, "first", tmp_path)
    assert not (tmp_path / "one" / "catalog.db").exists()
    with pytest.raises(WorkspaceError, match="another workspace"):
        Workspace.create(tmp_path / "two", small_settings, url)


@pytest.mark.parametrize(
    "url",
    ["", "nonsense", "sqlite://", "sqlite:///relative.db", "mysql://u:secret@h/d", "postgresql://u:secret@h/d",
     "postgres://u:secret@[broken/d"],
)  # fmt: skip
def test_a_database_that_cannot_be_used_is_refused_before_anything_is_made(tmp_path, small_settings, url):
    with pytest.raises(SettingsError) as caught:
        Workspace.create(tmp_path / "w", small_settings, url)
    assert "secret" not in str(caught.value)
    assert not (tmp_path / "w").exists()


def test_a_password_is_kept_from_messages_and_from_other_users(tmp_path, small_settings):
    url = "postgresql+psycopg://someone:s3cr%40t@127.0.0.1:1/db?password=s3cr2"
    with pytest.raises(CatalogError, match=r"someone@127\.0\.0\.1:1/db") as caught:
        Workspace.create(tmp_path / "w", small_settings, url)
    for secret in ("s3cr", "password="):
        assert secret not in str(caught.value)
    from storage.workspace_file import WorkspaceFile

    workspace = Workspace(tmp_path, WorkspaceFile(small_settings, url))
    assert "s3cr" not in repr(workspace) + repr(workspace._content) + workspace.database_label


def test_a_missing_driver_names_the_extra(tmp_path, small_settings, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(SettingsError, match=r"pip install 'cdml\[postgres\]'"):
        Workspace.create(tmp_path / "w", small_settings, "postgresql+psycopg://someone@127.0.0.1/db")
