"""Flags over variables over cdml.toml over defaults."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cli.settings import (
    Environment,
    compute_device,
    merged_options,
    refresh_mode,
    task_settings,
    workspace_settings,
)
from continual_dml.errors import SettingsError, UnknownChoice
from continual_dml.settings import Settings


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    for name in Environment.model_fields:
        monkeypatch.delenv(f"CDML_{name.upper()}", raising=False)


def stored(**training):
    return replace(Settings(), training=replace(Settings().training, **training))


def test_each_place_wins_over_the_next(monkeypatch):
    assert task_settings(Settings(), merged_options({})).training.method == "mutual-distillation"
    toml = stored(method="frozen")
    assert task_settings(toml, merged_options({"method": None})).training.method == "frozen"
    monkeypatch.setenv("CDML_METHOD", "relation-distillation")
    assert task_settings(toml, merged_options({"method": None})).training.method == "relation-distillation"
    assert task_settings(toml, merged_options({"method": "finetune"})).training.method == "finetune"


def test_a_stronger_length_of_training_replaces_a_weaker_one_of_the_other_kind(monkeypatch):
    monkeypatch.setenv("CDML_EPOCHS", "3")
    by_variable = task_settings(stored(steps=50), merged_options({})).training
    assert (by_variable.steps, by_variable.epochs) == (None, 3.0)
    by_flag = task_settings(stored(epochs=1.0), merged_options({"steps": 7})).training
    assert (by_flag.steps, by_flag.epochs) == (7, None)


def test_both_lengths_in_one_place_are_refused():
    with pytest.raises(SettingsError, match="not both"):
        task_settings(Settings(), merged_options({"steps": 7, "epochs": 1.0}))


def test_a_variable_of_the_wrong_kind_is_named(monkeypatch):
    monkeypatch.setenv("CDML_STEPS", "many")

    with pytest.raises(SettingsError, match="CDML_STEPS='many'"):
        merged_options({})


def test_an_empty_variable_is_none(monkeypatch):
    monkeypatch.setenv("CDML_STEPS", "")

    assert merged_options({}) == {}


def test_zero_and_false_count_as_given(monkeypatch):
    monkeypatch.setenv("CDML_SEED", "5")
    monkeypatch.setenv("CDML_FLIP", "true")

    chosen = merged_options({"seed": 0, "flip": False})

    assert (chosen["seed"], chosen["flip"]) == (0, False)


def test_stream_options_reach_the_stream_settings():
    settings = task_settings(Settings(), {"query_fraction": 0.5, "queries_per_category": 3})

    assert (settings.streams.query_fraction, settings.streams.queries_per_category) == (0.5, 3)


def test_a_new_workspace_keeps_the_model_options_and_no_training_options(monkeypatch):
    monkeypatch.setenv("CDML_METHOD", "finetune")
    monkeypatch.setenv("CDML_BACKBONE", "resnet18")

    settings = workspace_settings(merged_options({"image_side": 64, "weights": "none", "flip": False}))

    assert (settings.model.backbone, settings.model.image_side_pixels) == ("resnet18", 64)
    assert settings.model.pretrained is False
    assert settings.training == replace(Settings().training, flip=False)


def test_weights_are_pretrained_unless_none():
    assert workspace_settings({}).model.pretrained is True
    assert workspace_settings({"weights": "some-file.safetensors"}).model.pretrained is True


def test_choices_outside_the_stored_settings_are_checked_too():
    assert (refresh_mode({}), compute_device({})) == ("auto", "auto")
    with pytest.raises(UnknownChoice, match="did you mean project"):
        refresh_mode({"refresh": "projct"})
    with pytest.raises(UnknownChoice, match="did you mean cuda"):
        compute_device({"device": "cude"})
