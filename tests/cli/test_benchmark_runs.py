"""The plan of a benchmark and its files: what is run, what is done already, what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from cli.benchmark_request import BenchmarkRequest, planned_runs
from cli.benchmark_runs import asked, claimed, is_done, read_run, run_file
from continual_dml.errors import CdmlError, SettingsError, StreamError, UnknownChoice, WorkspaceLocked
from continual_dml.settings import Settings


@pytest.fixture
def request_of(tmp_path):
    def build(*methods: str, **changes: object) -> BenchmarkRequest:
        plain = BenchmarkRequest("glyphs", None, methods, 1, tmp_path / "out", Settings(), None, "none")
        return replace(plain, **changes)

    return build


def finished(request: BenchmarkRequest) -> Path:
    """Write what a finished run of the first planned method would leave, and return its file."""
    (variant, *_) = planned_runs(request)
    path = run_file(request.directory, variant)
    path.parent.mkdir(parents=True)
    document = {
        "schema_version": 1,
        "kind": "benchmark-run",
        "asked": asked(request, variant),
        "stream": {"name": "glyphs", "tasks": []},
        "method": variant.method,
        "label": variant.label,
        "seed": 0,
        "replays": False,
        "seconds": {},
        "bytes_kept": {},
        "readouts": [],
    }
    path.write_text(json.dumps(document))
    return path


def test_a_method_named_twice_is_run_once_and_seeds_come_one_after_the_other(request_of):
    runs = planned_runs(request_of("frozen", "finetune", "frozen", seeds=2))

    assert [(run.label, run.settings.training.seed) for run in runs] == [
        ("frozen", 0),
        ("finetune", 0),
        ("frozen", 1),
        ("finetune", 1),
    ]


@pytest.mark.parametrize(
    ("methods", "changes", "words"),
    [
        (["finetun"], {}, "did you mean finetune"),
        (["finetune+objectiv.mutual=1"], {}, "did you mean objective"),
        ([], {}, "names no method"),
        (["finetune"], {"baseline": "finetun"}, "did you mean finetune"),
        (["finetune"], {"stream": "glyhps"}, "did you mean glyphs"),
        (["finetune"], {"stream": "grocery"}, "--data"),
        (["finetune+training.seed=4"], {}, "--seeds"),
        (["finetune+model.image_side_pixels=64"], {}, "--image-side"),
    ],
)
def test_what_cannot_be_run_is_told_before_anything_is_made(request_of, methods, changes, words):
    request = request_of(*methods, **changes)

    with pytest.raises(SettingsError, match=words):
        planned_runs(request)
    assert not request.directory.exists()


def test_a_path_where_nothing_is_is_named(request_of):
    with pytest.raises(StreamError, match="no/such/folder"):
        planned_runs(request_of("finetune", stream="no/such/folder"))


def test_a_finished_run_is_done_whatever_the_number_of_seeds(request_of):
    request = request_of("finetune")
    finished(request)

    assert [is_done(request, run) for run in planned_runs(replace(request, seeds=3))] == [True, False, False]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"first_steps": 9}, "first_steps \\(none, now 9\\)"),
        ({"validation": True}, "validation \\(False, now True\\)"),
        ({"settings": replace(Settings(), training=replace(Settings().training, steps=5))}, "training.steps"),
    ],
)
def test_a_run_with_other_settings_is_refused_with_its_file_and_the_difference(request_of, change, words):
    path = finished(request_of("finetune"))
    other = request_of("finetune", **change)

    with pytest.raises(SettingsError, match=words) as failure:
        is_done(other, planned_runs(other)[0])
    assert str(path) in str(failure.value)


@pytest.mark.parametrize("content", ["", '{"kind": "benchm', "[]", '{"kind": "benchmark-run"}', '{"a": 1}'])
def test_a_damaged_run_is_named(tmp_path, content):
    (tmp_path / "x-seed0.json").write_text(content)

    with pytest.raises(CdmlError, match="x-seed0.json.* delete .* to have it run again"):
        read_run(tmp_path / "x-seed0.json")


def test_labels_that_would_share_a_name_or_are_too_long_have_files_of_their_own(request_of):
    long = "finetune" + "+objective.mutual=0" * 20
    slash = "finetune+model.cohort=2+model.cohort_backbones=conv4"
    runs = planned_runs(request_of("finetune", long, f"{long}+objective.anchor=0", slash))

    names = [run_file(Path("out"), run).name for run in runs]

    assert len(set(names)) == 4
    assert max(map(len, names)) < 200
    assert names[0] == "finetune-seed0.json"


def test_a_run_of_a_recipe_that_has_changed_since_is_refused(request_of):
    request = request_of("mutual-distillation")
    path = finished(request)
    document = json.loads(path.read_text())
    now = document["asked"]["recipe"]["old_relations"]
    document["asked"]["recipe"]["old_relations"] = 77.0
    path.write_text(json.dumps(document))
    with pytest.raises(SettingsError, match=rf"another recipe\.old_relations \(77\.0, now {now}\)"):
        is_done(request, planned_runs(request)[0])


def test_a_second_benchmark_on_the_same_folder_is_turned_away(tmp_path):
    with claimed(tmp_path / "out"), pytest.raises(WorkspaceLocked, match="out"), claimed(tmp_path / "out"):
        pass


def test_a_file_where_the_folder_should_be_is_named(tmp_path):
    (tmp_path / "out").write_text("mine")

    with pytest.raises(CdmlError, match="choose another with -o"), claimed(tmp_path / "out"):
        pass


def test_an_unknown_stream_is_an_unknown_choice(request_of):
    with pytest.raises(UnknownChoice):
        planned_runs(request_of("finetune", stream="photos"))
