"""Flags over variables over cdml.toml over the user's own file over defaults."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from cli.option_table import OPTIONS
from cli.settings import (
    NOT_IN_AN_INGEST,
    benchmark_options,
    benchmark_settings,
    compute_device,
    merged_options,
    new_workspace_options,
    refresh_mode,
    settings_of,
    task_settings,
    with_changes,
    workspace_settings,
)
from continual_dml.errors import SettingsError, UnknownChoice
from continual_dml.settings import GateSettings, Settings
from storage.workspace import Workspace
from storage.workspace_file import WorkspaceFile

pytestmark = pytest.mark.usefixtures("no_variables")


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


def user_says(tmp_path, monkeypatch, text):
    (tmp_path / "cdml").mkdir()
    (tmp_path / "cdml" / "config.toml").write_text(text)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


def test_the_users_own_file_is_weaker_than_the_workspace_and_stronger_than_the_defaults(
    tmp_path, monkeypatch
):
    user_says(
        tmp_path, monkeypatch, 'method = "finetune"\nseed = 7\nrefresh = "keep"\n[streams]\nmax_pixels = 9'
    )
    workspace = Workspace.create(tmp_path / "workspace", stored(method="frozen"))

    settings = task_settings(settings_of(workspace), merged_options({}))

    assert (settings.training.method, settings.training.seed) == ("frozen", 7)
    assert settings.streams.max_pixels == 9
    assert refresh_mode(merged_options({})) == "keep"
    monkeypatch.setenv("CDML_SEED", "8")
    monkeypatch.setenv("CDML_REFRESH", "project")
    assert task_settings(settings_of(workspace), merged_options({})).training.seed == 8
    assert refresh_mode(merged_options({})) == "project"
    assert refresh_mode(merged_options({"refresh": "auto"})) == "auto"


def test_the_model_of_a_workspace_is_its_own_whatever_the_user_has_for_new_ones(tmp_path, monkeypatch):
    user_says(tmp_path, monkeypatch, 'backbone = "resnet18"\nimage_side = 64\nindex = "hnsw"\nepochs = 2')
    workspace = Workspace.create(tmp_path / "workspace", stored(steps=5))

    assert settings_of(workspace) == stored(steps=5), "a length in cdml.toml silences the other one below it"
    assert "backbone" not in merged_options({})
    new = new_workspace_options({"image_side": 96})
    assert (new["backbone"], new["image_side"], new["index"]) == ("resnet18", 96, "hnsw")
    assert workspace_settings(new).model.backbone == "resnet18"


def test_a_comparison_takes_of_the_users_file_what_is_of_the_machine(tmp_path, monkeypatch):
    user_says(tmp_path, monkeypatch, 'device = "cpu"\nbackbone = "resnet18"\nlearning_rate = 1.0')
    flags = dict.fromkeys(("device", "backbone", "learning_rate"))

    assert benchmark_options(flags) == {"device": "cpu"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("devize = 'cpu'", r"config\.toml: unknown setting 'devize': did you mean device\?"),
        ("[trainin]", r"unknown setting 'trainin': did you mean training\?"),
        ("[training]\ndevize = 'cpu'", r"unknown setting in \[training\] 'devize': did you mean device"),
        ("[model]\ncohort = 2", r"unknown setting 'model'"),
        (
            "database_url = 'sqlite:////x'",
            r"database_url cannot stand here: give it as a flag, or as CDML_DATABASE_URL",
        ),
        ("seed = '3'", r"seed = '3': this is not a whole number"),
        ("seed = true", r"seed = True: this is not a whole number"),
        ("averaging = 1", r"averaging = 1: this is not true or false"),
        ("device = 3", r"device = 3: this is not text, in quotes"),
        ("device = 'gpu'", r"config\.toml: unknown device 'gpu'"),
        ("yes = true", r"unknown setting 'yes'"),
        ("device", r"cannot read .*config\.toml"),
    ],
)
def test_what_cannot_be_in_the_users_file_is_told_with_the_file_and_the_closest_name(
    tmp_path, monkeypatch, text, words
):
    user_says(tmp_path, monkeypatch, text)

    with pytest.raises(SettingsError, match=words):
        merged_options({})


def test_an_unknown_variable_is_told_with_the_closest_one(monkeypatch):
    monkeypatch.setenv("CDML_DEVIZE", "cpu")

    with pytest.raises(
        SettingsError, match=r"unknown environment variable CDML_DEVIZE: did you mean CDML_DEVICE\?"
    ):
        merged_options({})


@pytest.mark.parametrize(
    "name", ["CDML_TEST_DATA", "CDML_TEST_ANYTHING", "_CDML_COMPLETE", "MY_CDML_SEED", "cdml_x"]
)
def test_variables_of_the_tests_and_those_with_another_prefix_are_nobodys_business(monkeypatch, name):
    monkeypatch.setenv(name, "anything")

    assert merged_options({}) == {}


def test_every_place_of_the_table_is_a_setting_and_every_variable_reaches_it(monkeypatch):
    known = {name for name, _ in leaves(asdict(WorkspaceFile(Settings())))}
    for option in OPTIONS:
        if option.place is not None:
            assert option.place.replace("workspace.", "") in {one.removeprefix("settings.") for one in known}
    monkeypatch.setenv("CDML_AVERAGING", "off")
    monkeypatch.setenv("CDML_LEARNING_RATE", "0.5")
    training = task_settings(Settings(), merged_options({})).training
    assert (training.averaging, training.learning_rate) == (False, 0.5)


def leaves(values, path=""):
    for name, value in values.items():
        yield from leaves(value, f"{path}{name}.") if isinstance(value, dict) else [(f"{path}{name}", value)]


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


def test_the_limits_of_the_quality_gate_come_from_everywhere(monkeypatch):
    toml = replace(
        Settings(), gate=GateSettings(max_forgetting=0.1, min_recall=0.2, min_refresh_efficiency=0.3)
    )
    monkeypatch.setenv("CDML_MIN_RECALL", "0.4")
    monkeypatch.setenv("CDML_MIN_REFRESH_EFFICIENCY", "0.5")

    gate = task_settings(toml, merged_options({"min_refresh_efficiency": 0.0})).gate

    assert gate == GateSettings(max_forgetting=0.1, min_recall=0.4, min_refresh_efficiency=0.0)
    changed = with_changes(toml, ["gate.min_recall=none", "gate.max_forgetting=1"], NOT_IN_AN_INGEST).gate
    assert (changed.max_forgetting, changed.min_recall) == (1.0, None)
    with pytest.raises(SettingsError, match="min-recall is 7; it must lie between 0 and 1"):
        task_settings(toml, {"min_recall": 7.0})
    with pytest.raises(SettingsError, match="a comparison publishes nothing"):
        benchmark_settings("glyphs", {"changes": ["gate.min_recall=0"]})


def test_a_new_workspace_keeps_the_model_options_and_no_training_options(monkeypatch):
    monkeypatch.setenv("CDML_METHOD", "finetune")
    monkeypatch.setenv("CDML_BACKBONE", "resnet18")

    flags = {"image_side": 64, "weights": "none", "flip": False}
    settings = workspace_settings(new_workspace_options(flags))

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


def test_self_distillation_and_batches_come_from_flags_and_variables(monkeypatch):
    monkeypatch.setenv("CDML_SELF_DISTILLATION", "psd")
    monkeypatch.setenv("CDML_SELF_DISTILLATION_WEIGHT", "50")
    monkeypatch.setenv("CDML_AVERAGING", "false")
    flags = {"self_distillation": "obd", "self_distillation_teacher": "memory", "batch_categories": 6}

    training = task_settings(Settings(), merged_options(flags)).training

    chosen = training.self_distillation
    assert (chosen.kind, chosen.weight, chosen.teacher) == ("obd", 50.0, "memory")
    assert (training.batch_categories, training.images_per_category, training.averaging) == (6, 4, False)


def test_other_knobs_of_self_distillation_stay_as_the_workspace_has_them():
    inner = replace(Settings().training.self_distillation, diffusion=0.7)

    settings = task_settings(stored(self_distillation=inner), {"self_distillation": "obd"})

    assert settings.training.self_distillation == replace(inner, kind="obd")


def test_a_new_workspace_may_have_a_cohort(monkeypatch):
    monkeypatch.setenv("CDML_COHORT", "3")
    flags = {"backbone": "conv4", "cohort_backbones": "resnet18, vit_b_16", "ensemble": "pca"}

    model = workspace_settings(new_workspace_options(flags)).model

    assert model.backbones == ("conv4", "resnet18", "vit_b_16")
    assert (model.cohort, model.ensemble) == (3, "pca")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cohort": 0}, "cohort is 0"),
        ({"cohort": 17}, "cohort is 17"),
        ({"cohort": 3, "cohort_backbones": "conv4"}, "1 further backbones for a cohort of 3"),
        ({"cohort": 3, "cohort_backbones": "conv4,"}, "a name is missing"),
        ({"cohort": 2, "ensemble": "sum"}, "unknown ensemble 'sum'"),
    ],
)
def test_a_cohort_that_cannot_be_is_refused(options, words):
    with pytest.raises(SettingsError, match=words):
        workspace_settings(options)
