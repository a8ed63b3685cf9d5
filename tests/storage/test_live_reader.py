"""A process that stays answers from one whole generation at a time, and follows the newest that is whole."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from continual_dml.errors import CatalogError, WorkspaceError
from storage.live_reader import LiveReader, unprepared
from storage.store import WorkspaceStore


@pytest.fixture
def following(two):
    with LiveReader(two, unprepared) as live:
        yield live


def learn(workspace, publish, name, folder):
    with WorkspaceStore(workspace) as store:
        return publish(store, name, folder).generation_id


def ids_of(live):
    with live.snapshot() as snapshot:
        return len(snapshot.index)


def test_a_newer_generation_answers_after_a_refresh_and_not_before(two, following, publish, tmp_path):
    assert (following.health.generation_id, ids_of(following)) == (2, 6)
    assert not following.refresh()
    learn(two, publish, "tools", tmp_path)
    assert (following.health.generation_id, ids_of(following)) == (2, 6)
    assert following.refresh()
    assert (following.health.generation_id, ids_of(following)) == (3, 9)


def test_who_is_in_the_middle_of_something_stays_on_the_generation_that_it_entered(
    two, following, publish, tmp_path
):
    with following.snapshot() as entered:
        for name in ("tools", "maps"):  # the generation entered is not even kept any more
            learn(two, publish, name, tmp_path)
            assert following.refresh()
        ids = entered.index.ids.tolist()
        assert sorted(entered.reader.items(ids)) == sorted(ids)
        assert entered.reader.artefacts.read_json("report.json")["generation"] == 2
    with pytest.raises(WorkspaceError, match="closed"):
        entered.reader.items([1])


def test_health_can_be_asked_at_the_very_moment_at_which_another_generation_takes_over(
    two, following, publish, tmp_path, monkeypatch
):
    learn(two, publish, "tools", tmp_path)
    current = following._current

    def overtaken():
        found = current()
        monkeypatch.undo()
        assert following.refresh()
        return found

    monkeypatch.setattr(following, "_current", overtaken)
    assert following.health.generation_id == 2
    assert following.health.generation_id == 3


def test_a_newer_generation_that_is_damaged_does_not_answer_and_is_told(two, following, publish, tmp_path):
    number = learn(two, publish, "tools", tmp_path)
    path = two.generation_dir(number) / "model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert not following.refresh()
    assert following.health.generation_id == 2
    assert str(path) in following.health.problem
    assert ids_of(following) == 6
    path.write_bytes(whole)
    assert following.refresh()
    assert following.health.problem is None


def test_a_rollback_is_followed_too(two, following):
    with WorkspaceStore(two) as store:
        store.rollback(1)
    assert following.refresh()
    assert (following.health.generation_id, ids_of(following)) == (1, 3)


def test_a_thread_can_follow(two, following, publish, tmp_path):
    with following.following(0.01):
        learn(two, publish, "tools", tmp_path)
        for _ in range(1000):
            if following.health.generation_id == 3:
                break
            threading.Event().wait(0.01)
    assert following.health.generation_id == 3
    assert "cdml-refresh" not in {thread.name for thread in threading.enumerate()}


def test_threads_that_ask_while_generations_change_get_whole_answers(two, following, publish, tmp_path):
    wrong, stop = [], threading.Event()

    def ask():
        while not stop.is_set():
            with following.snapshot() as snapshot:
                number = snapshot.reader.generation.generation_id
                ids = np.sort(snapshot.index.ids)
                if len(ids) != 3 * number or len(snapshot.reader.items(ids.tolist())) != len(ids):
                    wrong.append((number, ids))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for name in ("tools", "maps", "signs"):
        learn(two, publish, name, tmp_path)
        assert following.refresh()
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_there_must_be_something_to_read_and_a_closed_one_says_so(workspace, two):
    with pytest.raises(CatalogError, match="holds no task yet"), LiveReader(workspace, unprepared):
        pass
    with LiveReader(two, unprepared) as live:
        pass
    for use in (live.refresh, lambda: live.health, lambda: live.snapshot().__enter__()):
        with pytest.raises(WorkspaceError, match="closed"):
            use()


def test_what_is_to_be_prepared_of_a_generation_is_there_before_it_answers(two, publish, tmp_path):
    prepared = []

    def prepare(reader, index):
        prepared.append(reader.generation.generation_id)
        return f"{len(index)} items"

    with LiveReader(two, prepare) as live:
        with live.snapshot() as snapshot:
            assert (snapshot.prepared, prepared) == ("6 items", [2])
        learn(two, publish, "tools", tmp_path)
        assert live.refresh()
        with live.snapshot() as snapshot:
            assert (snapshot.prepared, prepared) == ("9 items", [2, 3])


def test_a_generation_that_cannot_be_prepared_does_not_answer_whatever_the_error_is(two, publish, tmp_path):
    def prepare(reader, index):
        if reader.generation.generation_id == 3:
            raise MemoryError("no room")

    with LiveReader(two, prepare) as live:
        learn(two, publish, "tools", tmp_path)
        assert not live.refresh()
        assert (live.health.generation_id, live.health.problem) == (2, "unexpected MemoryError: no room")
        assert ids_of(live) == 6
        with WorkspaceStore(two) as store:
            store.rollback(2)
        live.refresh()
        assert live.health.problem is None
