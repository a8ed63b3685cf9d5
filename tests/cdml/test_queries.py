"""Queries from Python answer as `cdml query` does, whatever form the image has."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import cdml


def as_document(answer: cdml.Answer) -> dict:
    """Return an answer as `cdml query --json` shows one."""
    return {
        "match": answer.match,
        "threshold": answer.threshold,
        "confidence": answer.confidence,
        "generation": answer.generation,
        "neighbours": [
            {
                "rank": rank,
                "item_id": one.item_id,
                "score": one.similarity,
                "category": one.category,
                "task": one.task,
                "path": one.path,
            }
            for rank, one in enumerate(answer.neighbours, 1)
        ],
    }


def forms(image: Path) -> dict[str, object]:
    pixels = np.array(Image.open(image).convert("RGB"))
    planes = torch.from_numpy(pixels).permute(2, 0, 1)
    return {
        "path": image,
        "text": str(image),
        "bytes": image.read_bytes(),
        "pillow": Image.open(image),
        "array": pixels,
        "tensor": planes,
        "floats": planes.float() / 255,
    }


def test_every_form_of_an_image_gets_the_answer_of_the_command_line(learned, command_line):
    _, out = command_line("query", learned.image, "-k", "5", "-w", learned.workspace.path, "--json")
    document = json.loads(out)
    wanted = {**document["queries"][0], "generation": document["generation"]}
    wanted.pop("path")
    with learned.workspace.searcher() as searcher:
        for form, image in forms(learned.image).items():
            assert as_document(searcher.query(image, 5)) == wanted, form
    assert as_document(learned.workspace.query(learned.image, 5)) == wanted


def test_a_filter_says_which_images_may_answer(learned):
    answer = learned.workspace.query(learned.image, 3, where="task = 'greek'")
    assert {one.task for one in answer.neighbours} == {"greek"}
    nothing = learned.workspace.query(learned.image, where="category = 'no such'")
    assert (nothing.neighbours, nothing.category, bool(nothing)) == ((), None, False)


def test_several_images_are_answered_in_their_order_by_one_generation(learned):
    images = sorted(learned.greek.rglob("*.png"))[:3]
    answers = learned.workspace.query_many(images, 1)
    themselves = [one.neighbours[0].path == str(image) for one, image in zip(answers, images, strict=True)]
    assert themselves.count(True) >= 2  # one of eight or so is held out
    assert {one.generation for one in answers} == {2}
    assert learned.workspace.query_many([]) == []
    batch = np.stack([np.array(Image.open(one)) for one in images])
    with learned.workspace.searcher() as searcher:
        found = [one.neighbours[0].item_id for one in searcher.query_many(batch, 1)]
        assert searcher.query_many([]) == []
    assert found == [one.neighbours[0].item_id for one in answers]


def test_without_a_threshold_an_answer_is_not_judged(learned):
    answer = learned.workspace.query(learned.image, threshold=False)
    assert (answer.match, answer.threshold, answer.no_threshold) == (None, None, None)
    assert answer.category == answer.neighbours[0].category
    judged = learned.workspace.query(learned.image)
    assert "too few categories" in judged.no_threshold  # 8 of the 19 that it takes


def test_an_answer_that_is_no_match_has_no_category():
    near = cdml.Neighbour(1, 0.4, "owl", "birds", "owl.jpg")
    answer = cdml.Answer((near,), match=False, threshold=0.5, confidence=0.2, generation=1)
    assert answer.category is None
    assert not answer


def test_a_session_follows_newer_generations_and_one_that_does_not_waits_to_be_told(site, arrows):
    with site.workspace.searcher() as follows, site.workspace.searcher(follow=False) as stays:
        image = sorted(arrows.rglob("*.png"))[0]
        before = follows.query(image, 1)
        assert before == stays.query(image, 1)
        assert before.generation == 2
        site.workspace.add(arrows)
        assert follows.query(image, 1).neighbours[0].path == str(image)
        assert stays.query(image, 1) == before
        assert stays.refresh()
        assert not stays.refresh()
        assert stays.query(image, 1) == follows.query(image, 1)
        assert (follows.generation, follows.problem) == (3, None)


def test_threads_may_share_a_session(learned):
    images = sorted(learned.latin.rglob("*.png"))[:8]
    with learned.workspace.searcher() as searcher, ThreadPoolExecutor(4) as threads:
        alone = [searcher.query(image, 2) for image in images]
        assert list(threads.map(lambda image: searcher.query(image, 2), images)) == alone


def test_a_session_that_is_closed_says_so(learned):
    with learned.workspace.searcher() as searcher:
        pass
    with pytest.raises(cdml.WorkspaceError, match="closed: open it with a `with` statement"):
        searcher.query(learned.image)


def test_vectors_of_images_are_what_they_are_searched_with(learned):
    images = sorted(learned.latin.rglob("*.png"))[:2]
    vectors = learned.workspace.embed(images)
    assert vectors.shape == (2, 16)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
    stored = learned.workspace.query(images[0], 100)
    similarity = {one.path: one.similarity for one in stored.neighbours}
    if str(images[1]) in similarity:
        assert similarity[str(images[1])] == pytest.approx(float(vectors[0] @ vectors[1]), abs=1e-5)


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"image": "nowhere.png"}, cdml.UnreadableImage, "nowhere.png: no such file"),
        ({"image": b"no image"}, cdml.UnreadableImage, "image 0 of those given: not a JPEG"),
        ({"image": 5}, cdml.StreamError, "of type int; give a path"),
        ({"k": 0}, cdml.SettingsError, "k = 0: ask for one neighbour or more"),
        ({"where": "category = owl"}, cdml.SettingsError, "expected a text in quotes"),
        ({"device": "tpu"}, cdml.UnknownChoice, "unknown device 'tpu'"),
    ],
)
def test_a_question_that_cannot_be_is_an_error_in_one_line(learned, arguments, error, said):
    with pytest.raises(error, match=said) as raised:
        learned.workspace.query(**{"image": learned.image, **arguments})
    assert "\n" not in str(raised.value)


def test_a_workspace_without_a_task_cannot_answer(tmp_path, learned):
    empty = cdml.Workspace.create(tmp_path / "empty", settings=learned.workspace.settings)
    with pytest.raises(cdml.CatalogError, match="holds no task yet"):
        empty.query(learned.image)
    with pytest.raises(cdml.CatalogError, match="holds no task yet"), empty.searcher():
        pass
