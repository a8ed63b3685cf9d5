"""Any setting can be changed by --set, and a benchmark has defaults of its own for each stream."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cli.settings import (
    NOT_IN_AN_INGEST,
    benchmark_settings,
    listed,
    numbers,
    with_changes,
)
from continual_dml.errors import SettingsError
from continual_dml.settings import Settings

pytestmark = pytest.mark.usefixtures("no_variables")


def test_set_reaches_every_section_and_the_last_change_wins():
    changes = [
        "objective.mutual=0",
        "cohort.own_views=no",
        "self_distillation.renew_steps=5",
        "training.learning_rate=none",
        "streams.query_fraction=0.5",
        "evaluation.recall_at=1/10",
        "objective.mutual = 2",
    ]

    trained = replace(Settings(), training=replace(Settings().training, learning_rate=0.1))
    changed = with_changes(trained, changes, NOT_IN_AN_INGEST)

    training = changed.training
    assert (training.objective.mutual, training.learning_rate) == (2.0, None)
    assert (training.cohort.own_views, training.self_distillation.renew_steps) == (False, 5)
    assert (changed.streams.query_fraction, changed.evaluation.recall_at) == (0.5, (1, 10))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mutual=0", "write section.name=value"),
        ("objective.mutual", "write section.name=value"),
        ("objectiv.mutual=0", "did you mean objective"),
        ("objective.mutal=0", "did you mean mutual"),
        ("objective.mutual=much", "this is no float"),
        ("objective.mutual=-1", "mutual is -1"),
        ("cohort.own_views=maybe", "this is no bool"),
        ("evaluation.recall_at=1,2", "this is no list such as 1/2/4"),
        ("training.cohort=2", "unknown setting in .training."),
        ("model.cohort=2", "make another workspace"),
    ],
)
def test_a_change_that_cannot_be_says_what_is_wrong(text, words):
    with pytest.raises(SettingsError, match=words):
        with_changes(Settings(), [text], NOT_IN_AN_INGEST)


@pytest.mark.parametrize("text", ["training.method=finetune", "training.seed=3", "model.pretrained=no"])
def test_a_benchmark_has_options_of_its_own_for_what_all_runs_share(text):
    with pytest.raises(SettingsError, match="use --"):
        benchmark_settings("glyphs", {"changes": [text]})


def test_written_characters_and_photos_have_other_defaults_that_options_replace():
    small, photos = benchmark_settings("omniglot", {}), benchmark_settings("grocery", {"steps": 7})

    assert (small.model.backbone, small.model.pretrained, small.training.flip) == ("conv4", False, False)
    assert (photos.model.backbone, photos.model.image_side_pixels) == ("mobilenet_v2", 128)
    assert photos.training.steps == 7
    assert benchmark_settings("glyphs", {"image_side": 48}).model.image_side_pixels == 48
    assert benchmark_settings("glyphs", {"changes": ["model.cohort=2"]}).model.cohort == 2


def test_recall_is_taken_at_the_published_k_of_a_stream_unless_others_are_asked_for():
    def asked(stream, **options):
        return benchmark_settings(stream, options).evaluation.recall_at

    assert (asked("sop-zero-shot"), asked("in-shop")) == ((1, 10, 100, 1000), (1, 10, 20, 30))
    assert asked("cub-incremental") == (1, 2, 4, 8, 16, 32)
    assert asked("grocery") == asked("photos/of/my/own") == (1, 2, 4, 8)
    assert asked("sop-zero-shot", changes=["evaluation.recall_at=1/5"]) == (1, 5)


def test_lists_are_written_with_commas():
    assert (numbers("--sizes", "41,10"), listed("--x", "a, b")) == ((41, 10), ("a", "b"))
    with pytest.raises(SettingsError, match="--sizes 41;10"):
        numbers("--sizes", "41;10")
