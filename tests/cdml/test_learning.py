"""Making a workspace, learning, adding and refreshing from Python."""

import logging
import shutil
from dataclasses import replace

import numpy as np
import pytest

import cdml


def test_a_workspace_is_made_once_and_opened_ever_after(tmp_path, learned):
    made = cdml.Workspace.create(
        tmp_path / "new",
        weights="none",
        backbone="conv4",
        image_side=32,
        embedding_dim=8,
        flip=False,
        keep_generations=3,
    )
    opened = cdml.Workspace.open(tmp_path / "new")
    assert repr(opened) == f"cdml.Workspace('{tmp_path / 'new'}')"
    assert opened.settings == made.settings
    model = opened.settings.model
    assert (model.backbone, model.image_side_pixels, model.embedding_dim) == ("conv4", 32, 8)
    assert (model.pretrained, opened.settings.training.flip) == (False, False)
    assert opened.status().tasks == 0
    assert opened.tasks() == opened.generations() == []
    with pytest.raises(cdml.WorkspaceError, match="exists already"):
        cdml.Workspace.create(tmp_path / "new", weights="none", backbone="conv4", image_side=32)
    with pytest.raises(cdml.WorkspaceError, match="no workspace at"):
        cdml.Workspace.open(tmp_path / "elsewhere")


def test_names_and_weights_that_are_not_there_are_errors(tmp_path):
    with pytest.raises(cdml.UnknownChoice, match="did you mean resnet18"):
        cdml.Workspace.create(tmp_path / "one", backbone="resnet81", weights="none")
    with pytest.raises(cdml.SettingsError, match=r"nowhere\.safetensors"):
        cdml.Workspace.create(tmp_path / "two", weights=tmp_path / "nowhere.safetensors")


def test_a_task_is_learned_told_and_found(site, arrows, listener, capfd):
    (arrows / "note.txt").write_text("no picture")
    (arrows / "upwards-arrow" / "broken.png").write_bytes(b"no picture")

    estimate = site.workspace.estimate_task(arrows)
    done = site.workspace.ingest_task(arrows, name="signs", steps=2, progress=listener)

    assert done.generation == 3
    assert done.promoted
    assert (estimate.steps, estimate.plan.new_categories) == (3, done.plan.new_categories)
    assert done.plan.gallery_images + done.plan.query_images == 18
    assert done.plan.extended_categories == ()
    assert any(file.path.endswith("broken.png") for file in done.plan.left_out)
    assert done.report.tasks == ("latin", "greek", "signs")
    assert done.seconds > 0
    assert done.report.recall() == site.workspace.report().recall()
    assert [task.name for task in site.workspace.tasks()] == ["latin", "greek", "signs"]
    assert "publishing" in listener.stages
    assert capfd.readouterr() == ("", "")


def test_learning_from_python_is_learning_from_the_command_line(site, arrows, tmp_path, command_line):
    twin = tmp_path / "twin"
    shutil.copytree(site.workspace.path, twin)
    done = site.workspace.ingest_task(arrows, steps=4, loss="triplet", seed=7)
    flags = ("--steps", "4", "--loss", "triplet", "--seed", "7")
    assert command_line("ingest-task", arrows, "-w", twin, *flags)[0] == 0
    for name in ("model.safetensors", "head.safetensors"):
        ours = site.workspace.path / "gen" / f"{done.generation:08d}" / name
        assert ours.read_bytes() == (twin / "gen" / f"{done.generation:08d}" / name).read_bytes()


def test_settings_for_one_task_stand_in_place_of_the_workspaces(site, arrows):
    strict = replace(site.workspace.settings, gate=cdml.GateSettings(min_recall=1.0))
    done = site.workspace.ingest_task(arrows, settings=strict)
    assert not done.promoted
    assert "recall" in done.report.refusal
    assert not done.report.live
    assert site.workspace.report().generation == 2
    assert site.workspace.report(done.generation).refusal == done.report.refusal
    assert site.workspace.promote() == done.generation
    assert site.workspace.report().live
    other = replace(site.workspace.settings, model=replace(site.workspace.settings.model, embedding_dim=4))
    with pytest.raises(cdml.SettingsError, match="the network stays"):
        site.workspace.ingest_task(arrows, settings=other)


def test_images_are_added_without_learning(site, arrows):
    plan = site.workspace.plan_addition(arrows)
    done = site.workspace.add(arrows)
    assert done.plan == plan
    assert (done.plan.gallery_images, done.plan.query_images) == (18, 0)
    assert done.report.document["added_since"]["gallery"] == 18
    assert [one.train_images for one in site.workspace.additions()] == [18]
    one = next(arrows.rglob("*.png"))
    with pytest.raises(cdml.AlreadyIngested):
        site.workspace.add(one, category="owl")
    with pytest.raises(cdml.SettingsError, match="say what to add"):
        site.workspace.add()


def test_a_gallery_left_stale_is_refreshed(site, arrows):
    site.workspace.ingest_task(arrows, refresh="keep")
    done = site.workspace.refresh("project")
    assert done.published
    assert (done.before["stale"] > 0, done.after["stale"]) == (True, 0)
    budget = site.workspace.refresh(budget=cdml.RefreshBudget(items=5))
    assert (budget.reembedded, budget.report.generation) == (5, budget.generation)
    with pytest.raises(cdml.UnknownChoice, match="unknown refresh 'all'"):
        site.workspace.refresh("all")


def test_a_second_writer_is_told_at_once(site, arrows):
    from storage.writer_lock import WriterLock

    with WriterLock(site.workspace.path / "LOCK"), pytest.raises(cdml.WorkspaceLocked, match="is writing to"):
        site.workspace.ingest_task(arrows)
    assert site.workspace.query(site.image, 1).generation == 2


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"steps": 1, "epochs": 1.0}, cdml.SettingsError),
        ({"loss": "tripel"}, cdml.UnknownChoice),
        ({"refresh": "never"}, cdml.UnknownChoice),
    ],
)
def test_options_that_cannot_be_are_errors_before_anything_is_read(learned, arrows, options, error):
    with pytest.raises(error):
        learned.workspace.ingest_task(arrows, **options)


def test_without_a_listener_stages_are_logged(site, arrows, caplog):
    with caplog.at_level(logging.INFO, logger="cdml"):
        site.workspace.add(arrows)
    assert any("publishing" in message for message in caplog.messages)


def test_the_page_of_a_report_is_the_one_that_was_published(learned):
    page = learned.workspace.report_page()
    path = learned.workspace.path / "gen" / f"{learned.workspace.report().generation:08d}" / "report.html"
    assert page == path.read_bytes()
    assert page.startswith(b"<!doctype html>")


def test_a_report_gives_numbers_and_arrays(learned):
    report = learned.workspace.report()
    assert report.live
    assert (report.generation, report.tasks, report.recall_at) == (2, ("latin", "greek"), (1, 2, 4, 8))
    matrix = report.matrix()
    assert matrix.shape == (2, 2)
    assert np.isnan(matrix[0, 1])
    assert report.recall() == pytest.approx(np.mean(matrix[1]))
    assert report.recall(8) == np.mean(report.matrix(8)[1]) >= report.recall(1)
    assert report.forgetting() == pytest.approx(matrix[0, 0] - matrix[1, 0])
    assert report.backward_transfer() == pytest.approx(matrix[1, 0] - matrix[0, 0])
    assert report.recall(within_task=True) == np.mean(report.matrix(within_task=True)[1])
    assert report.document["summary"]["1"]["average"] == report.recall()
    assert "Recall@K" in report.definitions["recall_at_k"]
    with pytest.raises(cdml.UnknownChoice, match="unknown K '3'"):
        report.recall(3)
