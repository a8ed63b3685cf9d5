"""The grammar of variants: a method, then +section.name=value as often as wanted."""

import pytest

from continual_dml.errors import SettingsError, UnknownChoice
from continual_dml.settings import METHODS, ModelSettings, Settings, TrainingSettings
from continual_dml.strategies.variants import COMPARED, parse_variant

BASE = Settings(training=TrainingSettings(steps=7, loss="triplet"))


def parsed(text: str) -> Settings:
    return parse_variant(text, BASE).settings


@pytest.mark.parametrize("method", COMPARED)
def test_a_method_alone_changes_nothing_but_the_method(method: str) -> None:
    variant = parse_variant(method, BASE)
    assert (variant.method, variant.label) == (method, method)
    trained = method if method in METHODS else "finetune"
    assert variant.settings.as_dict() == {
        **BASE.as_dict(),
        "training": {**BASE.as_dict()["training"], "method": trained},
    }
    assert variant.replays == (method in ("replay", "joint"))


def test_every_section_can_be_changed_at_once_and_the_label_says_all_of_it() -> None:
    text = (
        "mutual-distillation+training.loss=margin+objective.mutual=0+model.cohort=2"
        "+cohort.peer_decay=0.9+self_distillation.kind=obd"
    )
    variant = parse_variant(f"  {text} ", BASE)
    assert variant.label == text
    training = variant.settings.training
    assert (training.loss, training.steps) == ("margin", 7)
    assert training.objective.mutual == 0.0
    assert variant.settings.model.cohort == 2
    assert training.cohort.peer_decay == 0.9
    assert training.self_distillation.kind == "obd"


def test_spaces_around_the_parts_do_not_matter() -> None:
    assert parsed("finetune + training.steps = 3 ").training.steps == 3


def test_a_later_change_of_the_same_setting_wins() -> None:
    assert parsed("finetune+training.steps=3+training.steps=4").training.steps == 4


@pytest.mark.parametrize(
    ("change", "section", "name", "value"),
    [
        ("training.averaging=no", "training", "averaging", False),
        ("training.averaging=TRUE", "training", "averaging", True),
        ("training.steps=12", "training", "steps", 12),
        ("training.steps=none", "training", "steps", None),
        ("training.learning_rate=1e-3", "training", "learning_rate", 0.001),
        ("training.learning_rate=none", "training", "learning_rate", None),
        ("training.head=trained", "training", "head", "trained"),
        ("model.embedding_dim=64", "model", "embedding_dim", 64),
        ("model.cohort_backbones=none", "model", "cohort_backbones", ()),
    ],
)
def test_values_are_read_as_the_setting_wants_them(
    change: str, section: str, name: str, value: object
) -> None:
    found = getattr(getattr(parsed(f"finetune+{change}"), section), name)
    assert found == value
    assert type(found) is type(value)


def test_several_values_stand_between_slashes() -> None:
    settings = parsed("finetune+model.cohort=3+model.cohort_backbones=conv4/resnet18")
    assert settings.model.cohort_backbones == ("conv4", "resnet18")
    assert settings.model.backbones == (ModelSettings().backbone, "conv4", "resnet18")


def test_none_is_a_value_like_others_where_a_choice_has_that_name() -> None:
    assert parsed("finetune+self_distillation.kind=none").training.self_distillation.kind == "none"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("finetun", r"unknown method 'finetun'.*did you mean finetune"),
        ("", r"unknown method ''"),
        ("finetune+mutual=0", r"'mutual=0' in 'finetune\+mutual=0' is no change .*\+objective\.mutual=0"),
        ("finetune+objective.mutual", r"'objective\.mutual' in .* is no change of a setting"),
        ("finetune+", r"'' in 'finetune\+' is no change of a setting"),
        ("finetune+objectiv.mutual=0", r"unknown section 'objectiv'.*did you mean objective"),
        ("finetune+streams.query_fraction=0.5", r"unknown section 'streams'"),
        ("finetune+objective.mutal=0", r"unknown setting in \[objective\] 'mutal'.*did you mean mutual"),
        ("finetune+training.cohort=2", r"unknown setting in \[training\] 'cohort'"),
        ("finetune+training.steps=1.5", r"training\.steps=1\.5: this is no int"),
        ("finetune+training.weight_decay=none", r"training\.weight_decay=none: this is no float"),
        ("finetune+training.averaging=1", r"training\.averaging=1: this is no bool"),
        ("finetune+cohort.transfer=-1", r"cohort transfer is -1; it must lie between"),
        ("finetune+cohort.transfer=nan", r"cohort transfer is nan; it must lie between"),
        ("finetune+training.loss=tripplet", r"unknown loss 'tripplet'.*did you mean triplet"),
        ("finetune+training.epochs=2", r"either --steps or --epochs, not both"),
        ("finetune+model.cohort_backbones=conv4", r"1 further backbones for a cohort of 1"),
        ("finetune+training.method=frozen", r"replaces the method; begin with 'frozen' instead"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_write_instead(text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        parse_variant(text, BASE)
    assert "\n" not in str(caught.value)


def test_unknown_names_are_unknown_choices() -> None:
    with pytest.raises(UnknownChoice):
        parse_variant("finetune+cohort.transfr=1", BASE)
