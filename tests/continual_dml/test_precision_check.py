"""Half precision is held against single precision before a generation goes live; real bfloat16 on the CPU."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from cli.render.precisions import precision_text
from continual_dml.embedding.cohort import build_member
from continual_dml.embedding.extract import extract
from continual_dml.embedding.precision import Compute
from continual_dml.pixels import SelectedRows
from continual_dml.ports import SilentListener
from continual_dml.settings import ModelSettings
from continual_dml.workflows.evaluate import Labelled
from continual_dml.workflows.ingest_task import IngestResult
from continual_dml.workflows.precision_check import MOST_CHECKED, precision_document, seen_in_full

CPU = torch.device("cpu")
HALF, FULL = Compute(CPU, bf16=True), Compute(CPU, bf16=False)


def labelled(vectors: list[list[float]], categories: list[int]) -> Labelled:
    rows = np.array(vectors, dtype=np.float32).reshape(-1, 2)
    return Labelled(rows, np.array(categories, dtype=np.int64), np.ones(len(rows), dtype=np.int64))


def asked(turned: int, of: int = 8) -> tuple[Labelled, np.ndarray]:
    """Return queries of category 7 by half precision, ``turned`` of which find 8, and all by single."""
    half = [[0.0, 1.0]] * turned + [[1.0, 0.0]] * (of - turned)
    return labelled(half, [7] * of), np.tile(np.array([[1.0, 0.0]], dtype=np.float32), (of, 1))


GALLERY = labelled([[1.0, 0.0], [0.0, 1.0]], [7, 8])


def test_what_half_precision_loses_and_wins_is_counted_query_by_query() -> None:
    half = labelled([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.6, 0.8]], [7, 7, 8, 9])
    full = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.6, 0.8]], dtype=np.float32)

    found = precision_document(half, full, GALLERY)

    assert (found["computed"], found["checked"]) == ("bf16", 3)  # of category 9 there is nothing to find
    assert (found["lost"], found["won"]) == (2, 0)
    assert (found["recall_at_1"], found["recall_at_1_fp32"]) == (pytest.approx(1 / 3), 1.0)
    assert (found["least_cosine"], found["mean_cosine"]) == (0.0, 0.5)


@pytest.mark.parametrize(
    ("turned", "of", "told"), [(0, 8, False), (2, 8, False), (3, 8, True), (3, 4000, False)]
)
def test_a_note_is_for_more_than_chance_and_more_than_a_tenth_of_a_point(
    turned: int, of: int, told: bool
) -> None:
    half, full = asked(turned, of)

    note = precision_document(half, full, GALLERY)["note"]

    assert (note is not None) is told
    assert note is None or "--precision fp32" in note


def test_queries_that_half_precision_wins_make_up_for_those_it_loses() -> None:
    half, full = asked(4)
    full[4:6] = [0.0, 1.0]  # two that only half precision finds

    found = precision_document(half, full, GALLERY)

    assert (found["lost"], found["won"], found["note"]) == (4, 2, None)


def test_nothing_to_compare_is_no_figure() -> None:
    found = precision_document(labelled([], []), np.empty((0, 2), dtype=np.float32), GALLERY)

    assert found["checked"] == 0
    assert found["recall_at_1"] is found["recall_at_1_fp32"] is found["least_cosine"] is None
    assert precision_text({"precision": found}) is None


def test_the_first_queries_are_embedded_as_single_precision_embeds_them() -> None:
    network = build_member(
        ModelSettings(backbone="conv4", pretrained=False, image_side_pixels=16), None, 0, seed=0
    )
    pixels = np.random.default_rng(0).integers(0, 256, (MOST_CHECKED + 9, 18, 18, 3), dtype=np.uint8)
    queries, order = SelectedRows(pixels, np.arange(3, len(pixels))), np.arange(MOST_CHECKED + 6)[::-1].copy()

    seen = seen_in_full([network], queries, order, HALF, SilentListener())

    assert seen is not None
    assert seen.rows.tolist() == order[:MOST_CHECKED].tolist()
    expected = extract(network, queries[seen.rows], FULL).features
    np.testing.assert_array_equal(seen.features, expected)
    assert not np.array_equal(extract(network, queries[seen.rows], HALF).features, expected)
    assert seen_in_full([network], queries, order, FULL, SilentListener()) is None


def test_a_generation_in_half_precision_tells_what_that_changed(
    task_folder: Callable[..., Path], ingest: Callable[..., IngestResult]
) -> None:
    first = ingest(task_folder(0), precision="bf16").report
    second = ingest(task_folder(4), precision="fp32").report

    found = first["precision"]
    assert found["checked"] == first["tasks"][0]["query_images"]
    assert found["recall_at_1"] == pytest.approx(first["recall_at_k"]["1"][0][0])
    assert 0.99 < found["least_cosine"] < 1.0
    assert "single" in first["definitions"]["precision"]
    text = precision_text(first)
    assert text is not None
    assert f"checked with {found['checked']} queries" in text
    assert "precision" not in second
    assert precision_text(second) is None
