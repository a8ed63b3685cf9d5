"""What a benchmark writes: tables, flat lines, a document and pictures."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest
from PIL import Image

from cli.render.benchmark_csv import runs_csv
from cli.render.benchmark_documents import comparison_document
from cli.render.benchmark_files import task_names, write_comparison
from cli.render.benchmark_tables import markdown_table
from continual_dml.comparisons.summary import compare
from continual_dml.errors import CdmlError

PICTURES = {"recall_matrices.png", "recall_over_tasks.png", "forgetting.png", "recall_at_k.png"}


def run(label: str, seed: int, value: float, *, replays: bool = False, tasks=("north", "south"), **changes):
    """Two tasks; Recall@1 in the end is ``value`` for both, forgetting .9 - value."""
    recall = {"1": [[0.9], [value, value]], "8": [[0.95], [0.95, 0.95]]}
    readouts = [
        {
            "head": "statistics",
            "gallery": gallery,
            "recall": {"merged": recall, "within": {"1": [[0.9], [0.9, 0.9]]}, "group": {}},
            "map_at_r": {"merged": [[0.5], [0.4, 0.6]]},
            "unseen_recall": {"1": [0.6, None]},
            "nmi": None,
        }
        for gallery in ("reembedded", "projected")
    ]
    counts = {"categories": 5, "train_images": 20, "query_images": 10}
    return {
        "schema_version": 1,
        "kind": "benchmark-run",
        "stream": {
            "name": "compass",
            "tasks": [{"name": name, **counts} for name in tasks],
            "unseen_images": 0,
        },
        "method": label,
        "label": label,
        "seed": seed,
        "replays": replays,
        "settings": {},
        "environment": {"torch": "2"},
        "seconds": {"learn": [1.0, 2.0], "measure": [0.5, 0.5], "total": 4.0},
        "peak_memory_bytes": 2**30,
        "bytes_kept": {"model": 10, "head": 1, "statistics": 20480, "drift": 5, "images": 0},
        "readouts": readouts,
        "members": [],
        "loss_terms": [{}, {}],
        **changes,
    }


@pytest.fixture
def runs():
    return [
        run("frozen", 0, 0.70), run("frozen", 1, 0.72),
        run("ours", 0, 0.80), run("ours", 1, 0.82),
        run("joint", 0, 0.90, replays=True), run("joint", 1, 0.92, replays=True),
    ]  # fmt: skip


def table(text: str, title: str) -> list[dict[str, str]]:
    block = text.split(f"**{title}", 1)[1].split("\n\n")[1]
    lines = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in block.splitlines()]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[2:]]


def test_the_table_ranks_methods_and_gives_means_and_spreads(runs):
    rows = table(markdown_table(runs), "Retrieval, gallery re-embedded")

    assert [row["method"] for row in rows] == ["ours", "frozen", "joint (replays)"]
    assert rows[0]["R@1"] == "0.810 ± 0.014"
    assert rows[0]["R@8"] == "0.950 ± 0.000"
    assert rows[0]["forgetting"] == "0.090 ± 0.014"
    assert rows[0]["R@1 less frozen"] == "+0.100 [+0.100, +0.100]"
    assert rows[0]["gap closed"] == "0.50 ± 0.00"
    assert rows[1]["R@1 less frozen"] == "-"


def test_every_table_says_which_methods_replay(runs):
    text = markdown_table(runs)

    blocks = [block for block in text.split("\n\n") if block.startswith("| method")]
    assert len(blocks) == 4
    assert all("| joint (replays) |" in block for block in blocks)
    assert "breaks the no-replay rule" in text


def test_the_cost_table_gives_bytes_per_category(runs):
    row = table(markdown_table(runs), "Cost")[0]

    assert row["seconds to learn"] == "3.0 ± 0.0"
    assert (row["peak memory"], row["statistics"], row["per category"]) == ("1.0 GiB", "20.0 KiB", "2.0 KiB")


def test_columns_without_numbers_and_their_definitions_are_left_out(runs):
    text = markdown_table(runs)

    assert "NMI" not in text
    assert "group R@1" not in text
    assert "**Cohorts**" not in text
    assert "Forgetting: mean over all tasks" in text


def test_a_cohort_is_shown_beside_its_members():
    members = [{"member": 0, "average_recall_at_1": 0.6}, {"member": 1, "average_recall_at_1": 0.7}]

    row = table(markdown_table([run("cohort", 0, 0.8, members=members)]), "Cohorts")[0]

    assert (row["ensemble R@1"], row["mean of the members"], row["best member"]) == (
        "0.800",
        "0.650",
        "0.700",
    )


def test_a_name_cannot_break_the_table():
    text = markdown_table([run("a|b\n*c*", 0, 0.8)])

    assert "| a\\|b\\\\n\\*c\\* |" in text


def test_the_csv_has_one_flat_line_per_run_and_readout(runs):
    lines = list(csv.DictReader(io.StringIO(runs_csv(runs))))

    assert len(lines) == 12
    assert (lines[4]["label"], lines[4]["seed"], lines[4]["gallery"]) == ("ours", "0", "reembedded")
    assert float(lines[4]["recall_at_1"]) == pytest.approx(0.8)
    assert (lines[4]["replays"], lines[8]["replays"]) == ("false", "true")
    assert lines[4]["nmi"] == ""


def test_the_summary_is_one_versioned_document(runs):
    document = json.loads(json.dumps(comparison_document(compare(runs), runs[0]["stream"]), allow_nan=False))

    assert (document["schema_version"], document["kind"], document["baseline"]) == (
        1,
        "benchmark-summary",
        "frozen",
    )
    best = document["rows"][0]
    assert (best["rank"], best["label"], best["seeds"]) == (1, "ours", [0, 1])
    assert best["measures"]["recall_at_1"] == {"mean": 0.81, "deviation": 0.014142, "seeds": 2}
    assert best["difference"]["recall_at_1"]["kind"] == "t"
    assert "forgetting" in document["definitions"]


def test_everything_is_written_whole_and_nothing_else_is_left(runs, tmp_path):
    written = write_comparison(tmp_path / "new" / "folder", runs)

    found = {path.name for path in (tmp_path / "new" / "folder").iterdir()}
    assert found == {path.name for path in written} == {"summary.json", "runs.csv", "table.md", *PICTURES}
    for name in PICTURES:
        with Image.open(tmp_path / "new" / "folder" / name) as picture:
            assert picture.format == "PNG"
            assert min(picture.size) > 150


def test_writing_again_replaces_the_files(runs, tmp_path):
    write_comparison(tmp_path, runs[2:4])
    write_comparison(tmp_path, runs[:2])

    assert "ours" not in (tmp_path / "table.md").read_text()


def test_pictures_are_the_same_to_the_byte_each_time(runs, tmp_path):
    for folder in ("a", "b"):
        write_comparison(tmp_path / folder, runs[:2])

    for name in PICTURES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_one_task_and_only_unseen_categories_give_the_picture_that_makes_sense(tmp_path):
    only = {
        "head": "trained", "gallery": "reembedded", "recall": {}, "map_at_r": {},
        "unseen_recall": {"1": [0.6], "2": [0.7]}, "nmi": [0.55],
    }  # fmt: skip
    zero_shot = run("ours", 0, 0.8, tasks=("half",), readouts=[only])

    written = write_comparison(tmp_path, [zero_shot])

    assert {path.name for path in written} - {"summary.json", "runs.csv", "table.md"} == {"recall_at_k.png"}
    row = table((tmp_path / "table.md").read_text(), "Recall@K")[0]
    assert (row["unseen R@1"], row["unseen R@2"], row["NMI"]) == ("0.600", "0.700", "0.550")


def test_names_with_dollars_and_letters_that_the_font_lacks_can_be_drawn(tmp_path):
    odd = run("a$b$ \\frac", 0, 0.8, tasks=("漢字", "x_{$"))

    assert {path.name for path in write_comparison(tmp_path, [odd])} > PICTURES


def test_tasks_dealt_in_another_order_by_each_seed_are_numbered():
    assert task_names([run("a", 0, 0.8), run("a", 1, 0.8)]) == ["north", "south"]
    assert task_names([run("a", 0, 0.8), run("a", 1, 0.8, tasks=("south", "north"))]) == ["", ""]


def test_a_folder_that_cannot_be_written_is_one_line(runs, tmp_path):
    (tmp_path / "taken").write_text("a file")

    with pytest.raises(CdmlError, match="cannot write .*summary.json") as caught:
        write_comparison(tmp_path / "taken", runs)
    assert "\n" not in str(caught.value)
