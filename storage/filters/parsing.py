"""Parses ``category in ('owl', 'lark') and not task = 'spring'``.

::

    filter     = part { "or" part }
    part       = term { "and" term }
    term       = "not" term | "(" filter ")" | comparison
    comparison = column ( "=" | "!=" | "<" | "<=" | ">" | ">=" ) value
               | column [ "not" ] "in" "(" value { "," value } ")"
    value      = 'text' or "text", its own quote written twice | whole number

Keywords and columns are read in any case. ``==`` is taken for ``=`` and ``<>`` for ``!=``.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import NoReturn

from continual_dml.errors import SettingsError, UnknownChoice
from storage.filters.tree import (
    COLUMNS,
    EQUALITIES,
    NUMBER_COLUMNS,
    ORDERINGS,
    All,
    Any,
    Comparison,
    Filter,
    Membership,
    Not,
    Value,
)

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>'(?:[^']|'')*'|"(?:[^"]|"")*")|(?P<number>-?\d+)"""
    r"""|(?P<word>[^\W\d]\w*)|(?P<sign><=|>=|<>|!=|==|[=<>(),]))"""
)
_SAME = {"==": "=", "<>": "!="}
_NORMALISED = ("category", "task")  # as an ingest does it
_MOST_CHARACTERS, _DEEPEST, _LARGEST = 100_000, 50, 2**63 - 1
# What any SQLite takes: an expression 1000 deep, where each "or" adds one, and 32,766 bound values.
_MOST_CONDITIONS, _MOST_VALUES = 500, 30_000
_LONGEST_NUMBER, _SHOWN_CHARACTERS = 40, 40  # characters; leading zeros are fine


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    place: int


def parse_filter(text: str) -> Filter:
    """Return the tree of a filter.

    Raises:
        SettingsError: it is no filter; the message shows where.
        UnknownChoice: it names a column that there is not.
    """
    if len(text) > _MOST_CHARACTERS:
        raise SettingsError(f"the filter has {len(text):,} characters; {_MOST_CHARACTERS:,} are allowed")
    parser = _Parser(text, _tokens(text))
    found = parser.filter(0)
    parser.expect_end()
    return found


def _tokens(text: str) -> list[_Token]:
    tokens, place, end = [], 0, len(text.rstrip())
    while place < end:
        found = _TOKEN.match(text, place)
        if found is None or found.lastgroup is None:
            _refuse(text, place + len(text[place:]) - len(text[place:].lstrip()), "this cannot be read")
        kind = found.lastgroup
        tokens.append(_Token(kind, found.group(kind), found.start(kind)))
        place = found.end()
    return [*tokens, _Token("end", "", len(text))]


class _Parser:
    """Goes through the tokens once, from the left."""

    def __init__(self, text: str, tokens: list[_Token]) -> None:
        self._text = text
        self._tokens = tokens
        self._next = 0
        self._conditions = self._values = 0

    def filter(self, depth: int) -> Filter:
        if depth > _DEEPEST:
            self._fail(f"more than {_DEEPEST} parts lie within one another")
        parts = [self._part(depth)]
        while self._took_word("or"):
            parts.append(self._part(depth))
        return parts[0] if len(parts) == 1 else Any(tuple(parts))

    def expect_end(self) -> None:
        if self._token.kind != "end":
            self._fail("expected 'and', 'or' or the end")

    def _part(self, depth: int) -> Filter:
        parts = [self._term(depth)]
        while self._took_word("and"):
            parts.append(self._term(depth))
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _term(self, depth: int) -> Filter:
        if self._took_word("not"):
            if depth > _DEEPEST:
                self._fail(f"more than {_DEEPEST} parts lie within one another")
            return Not(self._term(depth + 1))
        if self._took_sign("("):
            found = self.filter(depth + 1)
            self._expect_sign(")")
            return found
        return self._comparison()

    def _comparison(self) -> Filter:
        column = self._column()
        negated = self._took_word("not")
        if self._took_word("in"):
            self._expect_sign("(")
            values = [self._value(column)]
            while self._took_sign(","):
                values.append(self._value(column))
            self._expect_sign(")")
            found = Membership(column, tuple(values))
            return Not(found) if negated else found
        allowed = (*EQUALITIES, *ORDERINGS) if column in NUMBER_COLUMNS else EQUALITIES
        sign = _SAME.get(self._token.text, self._token.text)
        if negated or self._token.kind != "sign" or sign not in allowed:
            self._fail(f"expected 'in'{'' if negated else ' or one of ' + ' '.join(allowed)}")
        self._next += 1
        return Comparison(column, sign, self._value(column))

    def _column(self) -> str:
        token = self._token
        if token.kind != "word":
            self._fail(f"expected one of the columns {', '.join(COLUMNS)}")
        if token.text.lower() not in COLUMNS:
            raise UnknownChoice("column in the filter", token.text[:_SHOWN_CHARACTERS], COLUMNS)
        self._conditions += 1
        if self._conditions > _MOST_CONDITIONS:
            self._fail(f"more than {_MOST_CONDITIONS} conditions ('in' takes many values at once)")
        self._next += 1
        return token.text.lower()

    def _value(self, column: str) -> Value:
        token = self._token
        wanted = "number" if column in NUMBER_COLUMNS else "text"
        if token.kind != wanted:
            self._fail("expected a whole number" if wanted == "number" else "expected a text in quotes")
        self._values += 1
        if self._values > _MOST_VALUES:
            self._fail(f"more than {_MOST_VALUES:,} values")
        if wanted == "number" and (len(token.text) > _LONGEST_NUMBER or abs(int(token.text)) > _LARGEST):
            self._fail("the number is too large")
        self._next += 1
        if wanted == "text":
            quote = token.text[0]
            text = token.text[1:-1].replace(2 * quote, quote)
            return unicodedata.normalize("NFC", text) if column in _NORMALISED else text
        return int(token.text)

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    def _took_word(self, word: str) -> bool:
        took = self._token.kind == "word" and self._token.text.lower() == word
        self._next += took
        return took

    def _took_sign(self, sign: str) -> bool:
        took = self._token.kind == "sign" and self._token.text == sign
        self._next += took
        return took

    def _expect_sign(self, sign: str) -> None:
        if not self._took_sign(sign):
            self._fail(f"expected '{sign}'")

    def _fail(self, what: str) -> NoReturn:
        _refuse(self._text, self._token.place, what)


def _refuse(text: str, place: int, what: str) -> NoReturn:
    where = f"at '{text[place : place + 20]}'" if text[place:].strip() else "at its end"
    raise SettingsError(
        f"the filter cannot be used: {what}, {where}; write for example "
        "category in ('owl', 'lark') and task = 'birds'"
    )
