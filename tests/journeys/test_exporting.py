"""The model and the gallery leave the workspace, and give elsewhere what they give here."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cli
from cli.app import main
from continual_dml.interchange import ModelCard
from continual_dml.workflows import export_model
from continual_dml.workflows.search import Searcher
from storage.exports import gallery_rows, onnx_model
from storage.reader import WorkspaceReader
from storage.workspace import Workspace
from streams.image_reader import read_image
from tests.journeys.test_going_back import TINY_TASK

GUIDE = Path(cli.__file__).parent.parent / "docs" / "export.md"


@pytest.fixture
def here(site):
    return ("-w", site.workspace)


@pytest.fixture(scope="session")
def exported(learned_site, tmp_path_factory):
    """The model and the gallery of the learned workspace, exported once; only to be read."""
    folder = tmp_path_factory.mktemp("exported")
    for name in ("model.onnx", "items.parquet"):
        with pytest.MonkeyPatch.context() as patch:
            arguments = [
                "cdml",
                "export",
                str(folder / name),
                "-w",
                str(learned_site.workspace),
                "-q",
                "--json",
            ]
            patch.setattr(sys, "argv", arguments)
            with pytest.raises(SystemExit) as exit_of:
                main()
        assert not exit_of.value.code
    return folder


@pytest.fixture(scope="session")
def guide(exported, tmp_path_factory):
    """What the examples of the guide leave, run one after another as they stand there, for one photo."""
    folder = tmp_path_factory.mktemp("guide")
    for name in ("model.onnx", "items.parquet"):
        (folder / name).hardlink_to(exported / name)
    random = np.random.default_rng(5)
    coarse = random.integers(0, 256, size=(9, 12, 3)).astype(np.uint8)
    photo = Image.fromarray(coarse).resize((400, 300), Image.Resampling.BICUBIC)
    turned = Image.Exif()
    turned[0x0112] = 6
    photo.save(folder / "some.jpg", quality=95, exif=turned)
    examples = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(examples) == 3
    names: dict[str, object] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for example in examples:
            exec(compile(example, str(GUIDE), "exec"), names)
    return folder, names


def test_the_example_of_the_guide_gives_the_vector_and_the_answer_of_a_query(cdml, learned_site, guide):
    folder, names = guide
    workspace = Workspace.open(learned_site.workspace)
    side = workspace.settings.model.stored_side_pixels
    pixels = read_image(str(folder / "some.jpg"), side, workspace.settings.streams).pixels
    assert np.abs(names["squares"][0].astype(int) - pixels).max() <= 1  # by Pillow, and by torch
    with WorkspaceReader(workspace) as reader:
        searched = Searcher.open(reader.artefacts, "cpu").embed(pixels[None])
    assert np.abs(names["embedding"] - searched).max() < 1e-3
    told = cdml(
        "query", folder / "some.jpg", "-k", "5", "--no-threshold", "-w", learned_site.workspace, "--json"
    )
    neighbours = json.loads(told.out)["queries"][0]["neighbours"]
    assert names["ids"].tolist() == [one["item_id"] for one in neighbours]


def test_the_example_of_the_guide_can_be_imported(cdml, site, guide, here):
    folder, _ = guide
    done = cdml("import-embeddings", folder / "arrived.npz", *here, "--json")
    assert done.code == 0, done.err
    found = json.loads(cdml("query", folder / "some.jpg", "-k", "1", *here, "--json").out)
    assert found["queries"][0]["neighbours"][0]["category"] == "kiwi"


def test_the_file_says_whose_model_it_is_and_what_a_picture_must_become(exported, learned_site):
    import onnxruntime

    session = onnxruntime.InferenceSession(exported / "model.onnx")
    said = session.get_modelmeta().custom_metadata_map
    assert [(one.name, one.type, one.shape[1:]) for one in session.get_inputs()] == [
        ("squares", "tensor(uint8)", [36, 36, 3])
    ]
    assert [(one.name, one.shape[1:]) for one in session.get_outputs()] == [
        ("embedding", [16]),
        ("feature", [576]),
    ]
    card = ModelCard.from_text(said["cdml"])
    with WorkspaceReader(Workspace.open(learned_site.workspace)) as reader:
        generation = reader.generation
        assert not set(reader.category_ids()) & set(re.findall(r"[\w-]+", json.dumps(said)))
    assert (card.generation, card.manifest_sha256) == (2, generation.manifest_sha256)
    assert said["manifest_sha256"] == generation.manifest_sha256
    assert (said["embedding_dimension"], said["feature_dimension"]) == ("16", "576")
    steps = json.loads(said["preprocessing_json"])
    assert [one["step"] for one in steps["outside"]] == ["decode", "crop", "resize"]
    assert "36 x 36 pixels" in said["preprocessing"]


def test_parquet_and_npz_hold_the_same_rows_as_the_catalogue_and_the_index(
    cdml, site, here, exported, tmp_path, monkeypatch
):
    import pyarrow.parquet

    monkeypatch.setattr(gallery_rows, "ROWS_AT_ONCE", 7)
    assert cdml("export", tmp_path / "items.npz", *here, "--features", "-q").code == 0
    table = pyarrow.parquet.read_table(exported / "items.parquet")
    arrays = np.load(tmp_path / "items.npz")
    for name in ("id", "category", "task", "role", "path", "content_hash", "state", "birth_generation"):
        assert arrays[name].tolist() == table[name].to_pylist(), name
    assert np.array_equal(arrays["vector"], np.array(table["vector"].to_pylist(), dtype=np.float32))
    assert json.loads(table.schema.metadata[b"cdml"]) == json.loads(str(arrays["cdml"]))
    with WorkspaceReader(Workspace.open(site.workspace)) as reader:
        index, items = reader.index(), reader.items(arrays["id"].tolist())
        assert sorted(index.ids.tolist()) == sorted(arrays["id"].tolist())
        assert [items[n].path for n in arrays["id"].tolist()] == arrays["path"].tolist()
        found = index.search(arrays["vector"], 1)
    assert np.array_equal(found.ids[:, 0], arrays["id"])
    assert arrays["feature"].shape == (len(index), 576)
    assert np.array_equal(np.isfinite(arrays["feature"]).all(axis=1), arrays["state"] == "fresh")


def test_a_filter_chooses_the_rows(cdml, site, here, tmp_path):
    done = cdml("export", tmp_path / "some.parquet", "--where", "task = 'greek'", *here, "--json")
    document = json.loads(done.out)
    with WorkspaceReader(Workspace.open(site.workspace)) as reader:
        greek = [item for item in reader.items(range(1, 200)).values() if item.task == "greek"]
    assert document["items"] == sum(item.role.value == "gallery" for item in greek)
    none = cdml("export", tmp_path / "none.npz", "--where", "task = 'nothing'", *here, "--json")
    assert json.loads(none.out)["items"] == 0
    assert np.load(tmp_path / "none.npz")["vector"].shape == (0, 16)


def test_features_of_an_earlier_model_are_no_features_of_this_one(cdml, site, here, arrows, tmp_path):
    import pyarrow.parquet

    assert cdml("ingest-task", arrows, *here, *TINY_TASK, "--refresh", "project", "-q").code == 0
    done = cdml("export", tmp_path / "items.parquet", "--features", *here)
    table = pyarrow.parquet.read_table(tmp_path / "items.parquet")
    missing = [value is None for value in table["feature"].to_pylist()]
    assert missing == [state != "fresh" for state in table["state"].to_pylist()]
    assert 0 < sum(missing) < len(missing)
    assert f"{sum(missing)} items have no feature in the file" in done.err
    assert done.out.splitlines()[1] == f"{len(missing)} items of generation 3, 16 numbers each"


def test_an_earlier_generation_that_is_kept_can_be_exported_and_one_that_is_not_cannot(
    cdml, site, here, arrows, tmp_path
):
    assert cdml("tag", "before", *here, "-q").code == 0
    assert cdml("add", arrows, *here, "-q").code == 0
    done = cdml("export", tmp_path / "before.npz", "--generation", "before", *here, "--json")
    assert json.loads(done.out)["model"]["generation"] == 2
    live = json.loads(cdml("export", tmp_path / "now.npz", *here, "--json").out)
    assert live["model"]["model_sha256"] == json.loads(done.out)["model"]["model_sha256"]
    assert live["items"] > json.loads(done.out)["items"]
    gone = cdml("export", tmp_path / "gone.npz", "--generation", "1", *here)
    assert gone.code == 1
    assert "not kept any more" in gone.error_lines[0]
    unknown = cdml("export", tmp_path / "gone.npz", "--generation", "9", *here)
    assert unknown.code == 2
    assert not (tmp_path / "gone.npz").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["model.txt"], "the end of the name says what is exported"),
        (["nowhere/model.onnx"], "there is no folder"),
        (["taken.npz"], "exists: nothing was written"),
        (["model.pt2", "--features"], "--where and --features are for .parquet and .npz"),
        (["model.onnx", "--where", "id = 1"], "--where and --features are for .parquet and .npz"),
    ],
)
def test_a_destination_that_cannot_be_is_one_line(cdml, site, here, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken.npz").write_text("mine")
    done = cdml("export", *arguments, *here)
    assert done.code == 2
    assert said in done.error_lines[0]
    assert (tmp_path / "taken.npz").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["taken.npz", "workspace"]


@pytest.mark.parametrize(("name", "package"), [("model.onnx", "onnx"), ("items.parquet", "pyarrow")])
def test_a_missing_extra_is_one_line(cdml, site, here, tmp_path, monkeypatch, name, package):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setitem(sys.modules, f"{package}.parquet", None)
    done = cdml("export", tmp_path / name, *here)
    assert done.code == 2
    assert "run `pip install 'cdml[export]'`" in done.error_lines[0]
    assert not (tmp_path / name).exists()


def test_a_model_that_computes_something_else_is_not_written(cdml, site, here, tmp_path, monkeypatch):
    real = export_model.ServedModel.forward

    def off(self, squares):
        embedding, feature = real(self, squares)
        return embedding.roll(1, dims=1), feature

    monkeypatch.setattr(export_model.ServedModel, "forward", off)
    done = cdml("export", tmp_path / "model.pt2", *here)
    assert done.code == 1
    assert "is not the workspace's" in done.error_lines[0]
    assert [path.name for path in tmp_path.iterdir()] == ["workspace"]


def test_without_onnx_runtime_the_model_is_exported_all_the_same_and_that_is_told(
    cdml, site, here, exported, tmp_path, monkeypatch
):
    content = (exported / "model.onnx").read_bytes()
    monkeypatch.setattr(onnx_model, "onnx_bytes", lambda graph, card: content)  # the real one is tested above
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    done = cdml("export", tmp_path / "model.onnx", *here)
    assert done.code == 0, done.err
    assert "onnxruntime is not installed" in done.err
    assert "compared on" not in done.out


def test_where_no_image_is_left_random_squares_are_compared(cdml, site, tmp_path):
    shutil.copytree(site.workspace, tmp_path / "lonely")
    workspace = tmp_path / "lonely"
    from sqlalchemy import create_engine, text

    engine = create_engine(f"sqlite:///{workspace / 'catalog.db'}")
    with engine.begin() as connection:
        connection.execute(text("UPDATE item SET path = '/nowhere' || path"))
    engine.dispose()
    done = cdml("export", tmp_path / "model.pt2", "-w", workspace, "--json")
    assert done.code == 0, done.err
    parity = json.loads(done.out)["parity"]
    assert (parity["images"], parity["of_items"]) == (12, False)
    assert parity["embedding"] < 1e-5


def test_an_interrupted_export_leaves_nothing(cdml, site, here, tmp_path, monkeypatch):
    from storage import durable

    def full(path, content, mode=0o644):
        for _ in content:
            path.write_bytes(b"a part")
            raise KeyboardInterrupt
        return

    monkeypatch.setattr(durable, "write_file", full)
    done = cdml("export", tmp_path / "items.parquet", *here)
    assert done.code == 130
    assert [path.name for path in tmp_path.iterdir()] == ["workspace"]
