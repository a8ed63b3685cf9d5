"""Settings as nested plain values, in ``cdml.toml`` and back."""

from pathlib import Path
from typing import Any

import pytest

from continual_dml.errors import SettingsError, UnknownChoice
from continual_dml.settings import (
    CohortSettings,
    EvaluationSettings,
    GateSettings,
    ModelSettings,
    ObjectiveWeights,
    SelfDistillationSettings,
    Settings,
    StreamSettings,
    TrainingSettings,
)
from storage.workspace import Workspace

UNUSUAL = Settings(
    model=ModelSettings(
        backbone="conv4",
        pretrained=False,
        image_side_pixels=32,
        cohort=3,
        cohort_backbones=("squeezenet1_1", "conv4"),
        ensemble="pca",
    ),
    training=TrainingSettings(
        steps=5,
        objective=ObjectiveWeights(mutual=0.0, anchor=0.5),
        cohort=CohortSettings(penalty="l1", own_views=False, update_gap=2),
        self_distillation=SelfDistillationSettings(kind="obd", teacher="memory", renew_steps=50),
        drift_strength=3.0,
    ),
    streams=StreamSettings(query_fraction=0.3),
    evaluation=EvaluationSettings(recall_at=(1, 10)),
    gate=GateSettings(max_forgetting=0.1, min_recall=0.5),
)


@pytest.mark.parametrize("settings", [Settings(), UNUSUAL], ids=["default", "unusual"])
def test_settings_come_back_from_plain_values(settings: Settings) -> None:
    assert Settings.from_dict(settings.as_dict()) == settings


@pytest.mark.parametrize("settings", [Settings(), UNUSUAL], ids=["default", "unusual"])
def test_settings_come_back_from_a_workspaces_file(tmp_path: Path, settings: Settings) -> None:
    Workspace.create(tmp_path / "workspace", settings)
    again = Workspace.open(tmp_path / "workspace").settings
    assert again == settings
    assert isinstance(again.model.cohort_backbones, tuple)


def test_what_is_left_out_has_its_default() -> None:
    assert Settings.from_dict({}) == Settings()
    changed = Settings.from_dict({"training": {"cohort": {"transfer": 3.0}}})
    assert changed.training.cohort == CohortSettings(transfer=3.0)
    assert changed.training.objective == ObjectiveWeights()


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"modell": {}}, UnknownChoice, r"unknown setting in \[top\] 'modell'.*model"),
        ({"model": {"cohorts": 2}}, UnknownChoice, r"unknown setting in \[model\] 'cohorts'.*cohort"),
        ({"model": 3}, SettingsError, r"model = 3: this is a section; write its settings below \[model\]"),
        (
            {"training": {"cohort": 2}},
            SettingsError,
            r"cohort = 2: this is a section; write its settings below \[training\.cohort\]",
        ),
        ({"model": {"cohort": {"transfer": 1.0}}}, SettingsError, r"a value in \[model\] has the wrong type"),
        (
            {"model": {"cohort": 2, "cohort_backbones": "conv4"}},
            SettingsError,
            r"cohort_backbones = 'conv4' in \[model\]: this takes several values; write \['conv4'\]",
        ),
        ({"evaluation": {"recall_at": 1}}, SettingsError, r"recall_at = 1 .* write \[1\]"),
        ({"model": {"cohort": "two"}}, SettingsError, r"a value in \[model\] has the wrong type"),
        ({"gate": {"max_forgetting": 2}}, SettingsError, r"max-forgetting is 2; it must lie between 0 and 1"),
        ({"gate": {"min_recal": 0.5}}, UnknownChoice, r"did you mean min_recall"),
        ({"model": {"cohort": 0}}, SettingsError, r"cohort is 0; it must lie between 1 and 16"),
        (
            {"model": {"cohort": 2, "cohort_backbones": ["conv4", "conv4"]}},
            SettingsError,
            r"2 further backbones for a cohort of 2; name one for each member but the first, or none",
        ),
    ],
)
def test_what_cannot_be_is_named(values: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Settings.from_dict(values)


def test_each_member_has_its_own_backbone_and_everything_else_in_common() -> None:
    model = UNUSUAL.model
    assert model.backbones == ("conv4", "squeezenet1_1", "conv4")
    second = model.of_member(1)
    assert (second.backbone, second.cohort, second.cohort_backbones) == ("squeezenet1_1", 1, ())
    assert second.embedding_dim == model.embedding_dim
    assert ModelSettings(cohort=3).backbones == (ModelSettings().backbone,) * 3


def test_a_new_file_fixes_the_model_and_what_is_unusual_and_shows_the_other_defaults(tmp_path: Path) -> None:
    settings = Settings(training=TrainingSettings(steps=5, flip=False))
    made = Workspace.create(tmp_path / "workspace", settings)
    text = made.settings_file.read_text()
    for line in ('backbone = "mobilenet_v2"', "cohort = 1", "steps = 5", "flip = false"):
        assert f"\n{line}\n" in text
    for line in ('# device = "auto"', "# max_forgetting = 0.25", "# false_accepts = 0.05"):
        assert f"\n{line}\n" in text
    uncommented = "\n".join(line.removeprefix("# ") for line in text.splitlines()[4:])
    made.settings_file.write_text(uncommented)
    assert Workspace.open(made.root).settings == settings, "each comment is a setting that may be said"


def test_what_the_file_says_wins_and_the_model_is_always_its_own(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path / "workspace", Settings(training=TrainingSettings(steps=5)))
    file = workspace.settings_file
    file.write_text(file.read_text().replace('# device = "auto"', 'device = "auto"'))
    beneath = {
        "training": {"device": "cpu", "seed": 3, "epochs": 2.0, "objective": {"mutual": 0.5}},
        "model": {"cohort": 2, "cohort_backbones": ["conv4"]},
    }
    settings = Workspace.open(workspace.root).settings_over(beneath)
    assert settings.model == ModelSettings()
    expected = TrainingSettings(device="auto", seed=3, steps=5, objective=ObjectiveWeights(mutual=0.5))
    assert settings.training == expected


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("[storag]\nindex = 'flat'", r"unknown section 'storag': did you mean storage"),
        ("[gates]", r"unknown section 'gates': did you mean gate\?"),
        ("[training]\ndevize = 'cpu'", r"unknown setting in \[training\] 'devize': did you mean device\?"),
        (
            "[workspace]\nformat_version = 1\ndatabase = 'x'",
            r"\[workspace\] 'database': did you mean data",
        ),
        ("[initial_weights]\nsize = 1\nsha256 = ''\nnotes = {}", r"'notes': did you mean note\?"),
    ],
)
def test_an_unknown_name_in_the_file_is_told_with_its_place_and_the_closest(
    tmp_path: Path, line: str, words: str
) -> None:
    whole = line if line.startswith("[workspace]") else f"[workspace]\nformat_version = 1\n{line}"
    (tmp_path / "cdml.toml").write_text(whole + "\n")
    with pytest.raises(SettingsError, match=rf"cdml\.toml: .*{words}"):
        Workspace.open(tmp_path)
