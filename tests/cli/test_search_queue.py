"""Queries that come together are searched together, and each bears its own errors alone."""

from __future__ import annotations

import threading

import pytest

from cli.live_search import Asked
from cli.web.measures import Measures
from cli.web.queue import MOST_TOGETHER, Busy, SearchQueue
from continual_dml.errors import DimensionMismatch


class Searcher:
    """Answers each query with its name, when it may; refuses what is asked with ``k`` 0."""

    def __init__(self):
        self.may = threading.Event()
        self.entered = threading.Event()
        self.together = []

    def search(self, queries):
        self.entered.set()
        assert self.may.wait(60)
        self.together.append(len(queries))
        if any(asked.k == 0 for asked in queries):
            raise DimensionMismatch("a vector of another length")
        return [asked.name for asked in queries]


@pytest.fixture
def searcher():
    return Searcher()


def asked(name, k=1):
    return Asked(str(name), k)


def test_what_came_while_another_was_searched_goes_together_up_to_a_limit(searcher):
    with SearchQueue(searcher, Measures()) as queue:
        first = queue.submit(asked("first"))
        assert searcher.entered.wait(60)
        later = [queue.submit(asked(number)) for number in range(MOST_TOGETHER + 3)]
        searcher.may.set()
        assert first.result(60) == "first"
        assert [one.result(60) for one in later] == [str(number) for number in range(MOST_TOGETHER + 3)]
    assert searcher.together == [1, MOST_TOGETHER, 3]


def test_one_that_cannot_be_searched_spoils_no_other(searcher):
    with SearchQueue(searcher, Measures()) as queue:
        queue.submit(asked("first"))
        assert searcher.entered.wait(60)
        good, bad, fine = (queue.submit(asked(name, k)) for name, k in (("good", 1), ("bad", 0), ("fine", 1)))
        searcher.may.set()
        assert (good.result(60), fine.result(60)) == ("good", "fine")
        with pytest.raises(DimensionMismatch):
            bad.result(60)


def test_who_comes_when_too_many_wait_is_told_so_at_once(searcher):
    with SearchQueue(searcher, Measures(), most_waiting=2) as queue:
        queue.submit(asked("first"))
        assert searcher.entered.wait(60)
        waiting = [queue.submit(asked(number)) for number in range(2)]
        with pytest.raises(Busy, match="try again in a moment"):
            queue.submit(asked("one too many"))
        searcher.may.set()
        assert [one.result(60) for one in waiting] == ["0", "1"]


def test_one_whose_client_has_gone_is_not_searched_any_more(searcher):
    with SearchQueue(searcher, Measures()) as queue:
        queue.submit(asked("first"))
        assert searcher.entered.wait(60)
        gone, there = queue.submit(asked("gone")), queue.submit(asked("there"))
        assert gone.cancel()
        searcher.may.set()
        assert there.result(60) == "there"
    assert searcher.together == [1, 1]


def test_what_is_waiting_when_a_server_ends_is_still_answered(searcher):
    with SearchQueue(searcher, Measures()) as queue:
        waiting = [queue.submit(asked(number)) for number in range(5)]
        searcher.may.set()
    assert [one.result(0) for one in waiting] == ["0", "1", "2", "3", "4"]
