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
