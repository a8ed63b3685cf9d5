"""Images that were embedded elsewhere: found at once, carried on by the next task, never of another model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from continual_dml.workflows.state_files import stored_state
from storage.reader import WorkspaceReader
from storage.workspace import Workspace
from tests.journeys.embedded_elsewhere import embedded
from tests.journeys.test_going_back import TINY_TASK


@pytest.fixture
def here(site):
    return ("-w", site.workspace)


@pytest.fixture
def elsewhere(site, arrows, tmp_path):
    return embedded(site.workspace, sorted(arrows.rglob("*.png")), tmp_path)


def files_of(workspace: Path) -> dict[str, bytes]:
    with WorkspaceReader(Workspace.open(workspace)) as reader:
        return {name: reader.artefacts.read_bytes(name) for name in reader.artefacts.names()}


def reasons(document: dict) -> dict[str, str]:
    return {Path(one["path"]).name: one["reason"] for one in document["addition"]["quarantined"]}


def status(cdml, here):
    return json.loads(cdml("status", *here, "--json").out)


def test_an_import_is_what_adding_the_images_would_have_been(cdml, site, here, elsewhere, arrows, tmp_path):
    shutil.copytree(site.workspace, tmp_path / "adding")
    assert cdml("add", arrows, "-w", tmp_path / "adding", "-q").code == 0
    planned = cdml("import-embeddings", elsewhere.write(), "--dry-run", *here, "--json")
    assert status(cdml, here)["generation"] == 2
    done = cdml("import-embeddings", elsewhere.write(), "--name", "arrows", *here, "--json")
    assert (planned.code, done.code) == (0, 0), done.err
    document = json.loads(done.out)
    assert document["plan"] == json.loads(planned.out)["plan"]
    assert (document["generation"], document["addition"]["images"]) == (3, 18)
    assert document["proof"]["named"]
    assert document["proof"]["sampled"] == 9
    added, imported = files_of(tmp_path / "adding"), files_of(site.workspace)
    assert added.keys() - imported.keys() == {"fingerprints-00000003.safetensors"}
    with (
        WorkspaceReader(Workspace.open(tmp_path / "adding")) as one,
        WorkspaceReader(Workspace.open(site.workspace)) as two,
    ):
        ids = np.sort(one.index().ids)
        by_path = [{item.path: n for n, item in reader.items(ids.tolist()).items()} for reader in (one, two)]
        assert by_path[0].keys() == by_path[1].keys()
        states = [stored_state(reader.artefacts, 1).statistics for reader in (one, two)]
        names = [{n: name for name, n in reader.category_ids().items()} for reader in (one, two)]
        rows = [{names[n][int(c)]: r for r, c in enumerate(states[n].class_ids)} for n in (0, 1)]
        for category, row in rows[0].items():
            other = rows[1][category]
            assert states[0].counts[row] == states[1].counts[other]
            assert np.allclose(states[0].means[row], states[1].means[other], atol=1e-4)
            assert np.allclose(states[0].output_means[row], states[1].output_means[other], atol=1e-4)
        assert np.allclose(states[0].scatter, states[1].scatter, atol=1e-3 * np.abs(states[0].scatter).max())


def test_what_was_imported_is_found_deleted_and_carried_on_by_the_next_task(
    cdml, site, here, elsewhere, tmp_path
):
    file = elsewhere.write()
    shutil.rmtree(elsewhere.folder / "arrows" / elsewhere.columns["category"][-1])
    assert cdml("import-embeddings", file, *here, "-q").code == 0
    image = elsewhere.columns["path"][0]
    found = json.loads(cdml("query", image, *here, "--json", "-k", "1").out)["queries"][0]["neighbours"][0]
    assert (found["path"], found["task"]) == (str(image), "arrived")
    assert found["score"] > 0.999
    assert cdml("verify", "--deep", *here).code == 0
    from streams.glyphs import render_task

    render_task("cyrillic", tmp_path / "cyrillic", categories=3, samples_per_category=6, side_pixels=32)
    assert cdml("ingest-task", tmp_path / "cyrillic", *here, *TINY_TASK, "-q").code == 0
    gallery = status(cdml, here)["gallery"]
    assert gallery["projected"] == 6, "of these no image is left here"
    assert cdml("delete", "--where", "task = 'arrived'", "--yes", *here, "-q").code == 0
    assert cdml("verify", "--deep", *here).code == 0


def test_relative_paths_start_at_the_named_folder_and_a_file_without_a_name_proves_itself(
    cdml, site, here, elsewhere, arrows
):
    relative = np.array([str(Path(path).relative_to(arrows)) for path in elsewhere.columns["path"]])
    file = elsewhere.write(path=relative, cdml=None, content_hash=None, embedding=None)
    done = cdml("import-embeddings", file, "--images", arrows, *here)
    assert done.code == 0, done.err
    assert (
        "the file names no model; 9 images embedded again: features are 0.0% of their length away" in done.out
    )
    assert "18 new images are not looked at, and so not searched for near-duplicates." in done.out


def test_a_file_of_another_model_is_refused_in_one_line(cdml, site, here, elsewhere, arrows, tmp_path):
    from streams.glyphs import render_task

    before = elsewhere.write("before.npz")
    render_task("cyrillic", tmp_path / "cyrillic", categories=3, samples_per_category=6, side_pixels=32)
    assert cdml("ingest-task", tmp_path / "cyrillic", *here, *TINY_TASK, "-q").code == 0
    done = cdml("import-embeddings", before, *here)
    assert done.code == 1
    (line,) = done.error_lines
    assert "features of two models cannot be compared" in line
    assert "`cdml export FILE.onnx`" in line
    assert status(cdml, here)["generation"] == 3


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"feature": None}, "vectors of another model cannot be compared"),
        ({"feature": None, "embedding": None}, "has no column 'feature'"),
        ({"category": None}, "has no column 'category'"),
        ({"cdml": np.array("{}")}, "what it says of its model cannot be read"),
        ({"cdml": np.array('{"format_version": 2}')}, "what it says of its model cannot be read"),
        ({"cdml": np.array(["a", "b"])}, "'cdml' is not one text"),
        ({"feature": np.ones((18, 16), dtype=np.float32)}, "another model, or it has embeddings"),
        ({"feature": np.ones((18, 576), dtype=np.int64)}, "only float numbers and texts are read"),
        ({"feature": np.ones(18, dtype=np.float32)}, "has to be float numbers"),
        ({"embedding": np.ones((18, 8), dtype=np.float32)}, "embeddings of 8 numbers"),
        ({"embedding": np.ones((3, 16), dtype=np.float32)}, "'embedding' has 3 rows and 'feature' has 18"),
        ({"path": np.array(["a"])}, "has to be 18 texts"),
        ({"feature": np.full((18, 576), np.nan, dtype=np.float32)}, "its feature is missing or not finite"),
        (
            {"embedding": np.ones((18, 16), dtype=np.float32)},
            "its embedding is not what the live model makes",
        ),
    ],
    ids=lambda value: None if isinstance(value, str) else "-".join(value),
)
def test_a_file_that_cannot_be_used_is_one_line_and_changes_nothing(
    cdml, site, here, elsewhere, changes, said
):
    done = cdml("import-embeddings", elsewhere.write(**changes), *here)
    assert done.code == 1
    (line,) = done.error_lines
    assert said in line
    assert status(cdml, here)["generation"] == 2


def test_another_way_to_crop_is_noticed_though_the_file_names_the_live_model(cdml, site, here, elsewhere):
    other = elsewhere.columns["feature"][::-1] * 0.5 + elsewhere.columns["feature"] * 0.5
    done = cdml("import-embeddings", elsewhere.write(feature=other, embedding=None), *here)
    assert done.code == 1
    assert "the images were prepared in another way" in done.error_lines[0]


def test_without_a_name_and_without_images_nothing_shows_whose_features_they_are(cdml, site, here, elsewhere):
    gone = np.array([f"/nowhere/{n}.png" for n in range(18)])
    done = cdml("import-embeddings", elsewhere.write(path=gone, cdml=None), *here)
    assert done.code == 1
    assert "does not say which model made its features" in done.error_lines[0]
    named = cdml("import-embeddings", elsewhere.write(path=gone), *here)
    assert named.code == 0, "with a name, and with hashes, images need not be here"
    assert "none of its images is here to compare" in named.out


def test_rows_that_cannot_be_used_are_left_out_with_a_reason(cdml, site, here, elsewhere, arrows, tmp_path):
    columns = {name: list(values) for name, values in elsewhere.columns.items() if name != "cdml"}
    known = sorted(site.latin.rglob("*.png"))[0]
    (tmp_path / "link.png").symlink_to(columns["path"][9])
    (tmp_path / "else.png").write_bytes(b"something else")

    def change(row: int, **values: object) -> None:
        for name, value in values.items():
            columns[name][row] = value

    change(0, path=str(tmp_path / "else.png"))
    change(1, content_hash="ABC")
    change(2, category="a/b")
    change(3, category="..")
    change(4, path="")
    change(5, path=str(tmp_path / "gone.png"), content_hash="")
    change(6, path="../../etc/passwd", content_hash="")
    ours = embedded(site.workspace, [known], tmp_path).columns
    change(7, **{name: ours[name][0] for name in columns})
    change(8, **{name: columns[name][10] for name in ("content_hash", "feature", "embedding")})
    change(8, path=str(tmp_path / "twin.png"))
    change(9, path="link.png", content_hash="")
    change(11, feature=np.full(576, np.inf, dtype=np.float32))
    change(12, feature=np.full(576, 1e6, dtype=np.float32))
    change(13, embedding=-columns["embedding"][13])
    shutil.copy(columns["path"][10], tmp_path / "twin.png")
    states, roles = ["fresh"] * 18, ["gallery"] * 18
    states[14], roles[15] = "projected", "query"
    file = elsewhere.write(
        **{name: np.array(values) for name, values in columns.items()},
        state=np.array(states),
        role=np.array(roles),
    )
    done = cdml("import-embeddings", file, *here, "--json")
    assert done.code == 3, done.err
    document = json.loads(done.out)
    found = [one["reason"] for one in document["addition"]["quarantined"]]
    for reason in (
        "its content is not what content_hash says",
        "its content_hash is no SHA-256 in 64 small hexadecimal digits",
        "its path is none that a file can have",
        "no such file, and no content_hash says what it was",
        f"outside {tmp_path}, and no content_hash says what it is",
        "already in the catalogue",
        f"same content as {tmp_path / 'twin.png'}",
        "symbolic link, not followed",
        "its feature is missing or not finite",
        "its feature has numbers beyond what 16 bits hold",
        "its embedding is not what the live model makes of its feature",
        "its feature was given by an earlier model",
        "held out to ask with; only searched images can be imported",
    ):
        assert any(one.startswith(reason) for one in found), (reason, found)
    assert found.count("its category is none that a folder can be called") == 2
    assert document["addition"]["images"] == 18 - len(found)
    assert document["plan"]["duplicates"] == {"in_the_folder": 1, "in_the_catalogue": 1}


def test_a_gallery_goes_from_one_workspace_to_another_with_the_same_model(cdml, site, here, arrows, tmp_path):
    assert cdml("backup", tmp_path / "all.tar", *here, "-q").code == 0
    there = ("-w", tmp_path / "there")
    assert cdml("restore", tmp_path / "all.tar", *there, "-q").code == 0
    assert cdml("add", arrows, *there, "-q").code == 0
    file = tmp_path / "items.parquet"
    assert cdml("export", file, "--features", *there, "-q").code == 0
    done = cdml("import-embeddings", file, *here, "--json")
    assert done.code == 3, "what is known here already is told"
    document = json.loads(done.out)
    assert document["addition"]["images"] == 18
    assert {one["reason"] for one in document["addition"]["quarantined"]} == {"already in the catalogue"}
    image = sorted(arrows.rglob("*.png"))[5]
    answers = [json.loads(cdml("query", image, *w, "--json").out)["queries"][0] for w in (here, there)]
    (mine, theirs) = ([(n["path"], n["category"]) for n in one["neighbours"]] for one in answers)
    assert mine == theirs


def test_before_the_first_task_there_is_no_model_to_compare_with(cdml, elsewhere, tmp_path):
    assert cdml("init", "--backbone", "conv4", "--weights", "none", "-w", tmp_path / "new", "-q").code == 0
    done = cdml("import-embeddings", elsewhere.write(), "-w", tmp_path / "new")
    assert done.code == 1
    assert "no task is learned yet" in done.error_lines[0]


@pytest.mark.parametrize("name", ["missing.npz", "note.txt", "note.npz", "note.parquet", "here.npz"])
def test_what_is_no_such_file_is_one_line(cdml, site, here, tmp_path, name):
    (tmp_path / "note.txt").write_text("no rows")
    (tmp_path / "note.npz").write_text("no rows")
    (tmp_path / "note.parquet").write_text("no rows")
    (tmp_path / "here.npz").mkdir()
    done = cdml("import-embeddings", tmp_path / name, *here)
    assert done.code == 1
    assert len(done.error_lines) == 1
