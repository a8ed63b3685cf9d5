"""A sample of ``tests.faults.mutations``: damage is met with a typed error, never with another answer."""

from __future__ import annotations

from random import Random

import pytest

from continual_dml.workflows.gallery_files import items_file, map_file
from storage.index import INDEXES
from storage.index.flat_view import FILE_NAME
from storage.index_files import REMOVED_FILE
from tests.faults.mutations import FILE_KINDS, IMAGES, artefacts, catalogue, images, mutated

TIMES = 20


def test_a_published_file_that_is_changed_in_any_way_is_refused(tmp_path):
    found = artefacts(tmp_path, TIMES)
    names = {one.name for one in found}
    assert names >= {"MANIFEST.json", "model.safetensors", "catalogue-00000001.jsonl"}
    assert names >= {f"{INDEXES[kind].file_name} ({kind})" for kind in FILE_KINDS}
    assert f"{REMOVED_FILE} (hnsw)" in names
    assert names >= {f"{name} (flat-view)" for name in (FILE_NAME, items_file(1), map_file(1))}
    for one in found:
        assert one.wrong == []
        assert one.ended == {"CorruptIndex": TIMES}


def test_a_changed_catalogue_is_refused_or_found_or_says_what_it_said_before(tmp_path):
    found = catalogue(tmp_path, TIMES)
    assert found.wrong == []
    assert found.ended.total() == TIMES


def test_an_image_that_is_changed_in_any_way_is_an_image_or_unreadable(tmp_path):
    found = images(tmp_path, TIMES)
    assert [one.name for one in found] == list(IMAGES)
    for one in found:
        assert one.wrong == []
        assert one.ended.total() == TIMES
    assert all(sum(one.ended[what] for one in found) for what in ("an image", "UnreadableImage"))


@pytest.mark.parametrize("size", [1, 2, 100])
def test_a_mutation_is_always_a_change(size):
    random = Random(size)
    content = bytes(size)
    assert all(mutated(content, random) != content for _ in range(200))
