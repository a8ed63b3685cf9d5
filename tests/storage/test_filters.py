"""Filters say which images may answer; whatever a user writes is a filter or an error, never a statement."""

from __future__ import annotations

import operator
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql, sqlite

from continual_dml.errors import SettingsError, UnknownChoice
from storage.filters import parse_filter
from storage.filters.conditions import condition
from storage.filters.tree import All, Any, Comparison, Membership, Not
from storage.reader import WorkspaceReader
from storage.store import WorkspaceStore
from tests.storage.tiny_tasks import on_circle

OWL, LARK = Comparison("category", "=", "owl"), Comparison("category", "=", "lark")
SPRING = Comparison("task", "=", "spring")
COMPARE = {"=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt,
           ">=": operator.ge}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("category = 'owl'", OWL),
        ('CATEGORY == "owl"', OWL),
        ("category in ('owl', 'lark')", Membership("category", ("owl", "lark"))),
        ("category NOT IN ('owl')", Not(Membership("category", ("owl",)))),
        ("id >= -3", Comparison("id", ">=", -3)),
        ("id <> 7", Comparison("id", "!=", 7)),
        ("not category = 'owl'", Not(OWL)),
        ("category='owl' or category='lark' and task='spring'", Any((OWL, All((LARK, SPRING))))),
        ("(category='owl' or category='lark') and task='spring'", All((Any((OWL, LARK)), SPRING))),
        ("path = 'it''s \"here\"'", Comparison("path", "=", 'it\'s "here"')),
        ("category = 'e\u0301tang'", Comparison("category", "=", "\u00e9tang")),
        ("path = 'e\u0301tang'", Comparison("path", "=", "e\u0301tang")),
        ("  task\n=\t'spring'  ", SPRING),
    ],
)
def test_a_filter_is_parsed_to_its_tree(text, tree):
    assert parse_filter(text) == tree


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected one of the columns"),
        ("   ", "expected one of the columns"),
        ("category", "expected 'in' or one of = !=, at its end"),
        ("category = owl", "expected a text in quotes, at 'owl'"),
        ("category = 'owl", "this cannot be read, at ''owl'"),
        ("category < 'owl'", "expected 'in' or one of = !="),
        ("id = '1'", "expected a whole number, at ''1''"),
        ("id = 1.5", "this cannot be read, at '.5'"),
        ("id = 99999999999999999999", "the number is too large"),
        ("category in ()", "expected a text in quotes, at ')'"),
        ("category in ('owl'", "expected ')', at its end"),
        ("category = 'owl' task = 'x'", "expected 'and', 'or' or the end, at 'task"),
        ("category = 'owl' and", "expected one of the columns"),
        ("category not = 'owl'", "expected 'in', at '="),
        ("category = 'owl'; DROP TABLE item", "this cannot be read, at '; DROP TABLE item'"),
        ("1 = 1", "expected one of the columns"),
        ("(" * 60 + "id=1" + ")" * 60, "more than 50 parts lie within one another"),
        ("not " * 60 + "id=1", "more than 50 parts lie within one another"),
        ("id = 1 " + " " * 100_000, "100,000 are allowed"),
    ],
)
def test_what_is_no_filter_is_refused_and_the_place_is_shown(text, words):
    with pytest.raises(SettingsError) as caught:
        parse_filter(text)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["categori", "content_hash", "item", "1=1 or category", "role"])
def test_only_columns_that_are_meant_for_it_can_be_asked_about(name):
    with pytest.raises((UnknownChoice, SettingsError)):
        parse_filter(f"{name} = 'owl'")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id = " + "1" * 5000, "the number is too large"),
        (" or ".join(["id = 1"] * 501), "more than 500 conditions"),
        (f"id in ({','.join('1' * 30_001)})", "more than 30,000 values"),
        ("x" * 90_000 + " = 'owl'", "unknown column"),
    ],
)
def test_what_no_database_would_take_is_refused_in_one_short_line(text, words):
    with pytest.raises((UnknownChoice, SettingsError), match=words) as caught:
        parse_filter(text)
    assert len(str(caught.value)) < 300


PIECES = ["category", "task", "path", "id", "role", "=", "!=", "<", ">=", "in", "not", "and", "or", "(", ")",
          ",", "'owl'", '"', "'", "''", "--", ";", "/*", "1", "-1", "9" * 30, "\x00", "\ud800", "\u202e", "%",
          "\\", "DROP TABLE item", "UNION SELECT", " "]  # fmt: skip


pieces = st.lists(st.sampled_from(PIECES))


@given(text=st.one_of(st.text(), pieces.map(" ".join), pieces.map("".join)))
def test_any_text_is_a_filter_or_the_typed_error_and_never_becomes_a_statement(text):
    try:
        tree = parse_filter(text)
    except (SettingsError, UnknownChoice):
        return
    for dialect in (sqlite.dialect(), postgresql.dialect()):
        statement = str(condition(tree).compile(dialect=dialect))
        assert ONLY_BOUND.fullmatch(statement), statement


# Columns, operators and places of bound values: all that the SQL of a filter may be made of.
ONLY_BOUND = re.compile(
    r"(category\.name|item\.item_id|item\.path|task\.name|[()=<>! ]|AND|OR|NOT|IN|\?|%\(\w+\)s(::\w+)?"
    r"|__\[POSTCOMPILE_\w+\])+"
)


def test_the_largest_filters_that_are_let_through_are_answered(opened):
    reader, items = opened
    everything = [item["id"] for item in items]
    assert reader.matching_ids(parse_filter(" or ".join(["id > 0"] * 500))) == everything
    assert reader.matching_ids(parse_filter(f"id in ({','.join('0123456789' * 3_000)})")) == [
        one for one in everything if one < 10
    ]
    deep = "not (" * 50 + "id > 0" + ")" * 50
    with pytest.raises(SettingsError, match="more than 50 parts"):
        parse_filter(deep)
    assert reader.matching_ids(parse_filter("not (" * 24 + "id > 0" + ")" * 24)) == everything


texts = st.one_of(
    st.sampled_from(["birds", "cars", "'", '"', "' or '1'='1", "%", "\\", "--", "\x00"]), st.text(max_size=5)
)
leaves = st.one_of(
    st.builds(Comparison, st.sampled_from(["category", "task", "path"]), st.sampled_from(["=", "!="]), texts),
    st.builds(Comparison, st.just("id"), st.sampled_from(sorted(COMPARE)), st.integers(-2, 12)),
    st.builds(Membership, st.just("category"), st.lists(texts, min_size=1, max_size=3).map(tuple)),
    st.builds(Membership, st.just("id"), st.lists(st.integers(0, 9), min_size=1, max_size=4).map(tuple)),
)
trees = st.recursive(
    leaves,
    lambda parts: st.one_of(
        st.builds(Not, parts),
        st.builds(All, st.lists(parts, min_size=2, max_size=3).map(tuple)),
        st.builds(Any, st.lists(parts, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)


def written(tree):
    """A filter's text, from its tree."""

    def value(one):
        return str(one) if isinstance(one, int) else "'" + one.replace("'", "''") + "'"

    if isinstance(tree, Comparison):
        return f"{tree.column} {tree.operator} {value(tree.value)}"
    if isinstance(tree, Membership):
        return f"{tree.column} in ({', '.join(map(value, tree.values))})"
    if isinstance(tree, Not):
        return f"not ({written(tree.part)})"
    return f" {'and' if isinstance(tree, All) else 'or'} ".join(f"({written(part)})" for part in tree.parts)


def holds(tree, item):
    """The slow reference: asks one item."""
    if isinstance(tree, Comparison):
        return COMPARE[tree.operator](item[tree.column], tree.value)
    if isinstance(tree, Membership):
        return item[tree.column] in tree.values
    if isinstance(tree, Not):
        return not holds(tree.part, item)
    return (all if isinstance(tree, All) else any)(holds(part, item) for part in tree.parts)


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """A reader of a workspace with three tasks, and its items as plain values."""
    from storage.workspace import Workspace
    from tests.storage.tiny_tasks import SMALL, publish_task

    folder = tmp_path_factory.mktemp("filters")
    workspace = Workspace.create(folder / "workspace", SMALL)
    with WorkspaceStore(workspace) as store:
        for name in ("birds", "cars", "it's"):
            publish_task(store, name, folder)
    with WorkspaceReader(workspace) as reader:
        items = reader.items(reader.index().ids.tolist())
        yield reader, [{"category": one.category, "task": one.task, "path": one.path, "id": one.item_id}
                       for _, one in sorted(items.items())]  # fmt: skip


@given(tree=trees)
def test_any_filter_chooses_what_an_explicit_loop_chooses(opened, tree):
    import unicodedata

    reader, items = opened
    text = written(tree)
    parsed = parse_filter(text)
    if unicodedata.is_normalized("NFC", text):
        assert parsed == tree
    assert reader.matching_ids(parsed) == [item["id"] for item in items if holds(parsed, item)]


def test_as_many_answers_as_match_come_back_however_far_away_they_are(opened):
    reader, _ = opened
    chosen = reader.matching_ids(parse_filter("task = 'cars' and id != 6"))
    assert len(chosen) == 2
    found = reader.index().among(np.array(chosen)).search(on_circle(np.array([1])), 10)
    assert sorted(found.ids[0]) == chosen


def test_queries_are_never_among_the_chosen(opened):
    reader, items = opened
    assert reader.matching_ids(parse_filter("id > 0")) == [item["id"] for item in items]
