"""The filter language of the list of runs.

    filter     = all ("OR" all)*                 either side is enough
    all        = term+                           every term must hold
    term       = "!" term | "(" filter ")" | "has:" KEY | KEY COMPARES VALUE | KEY ":" TEXT | TEXT
    COMPARES   = ">" | "<" | ">=" | "<=" | "=" | "!="

KEY is a field (`loss`, `state`, `tag`, ...), an alias (`lr`, `ppl`, ...), a metric (`eval/ce`) or a configuration key
(`optimizer.matrix_lr`). TEXT alone is looked for in the name. `*` and `?` stand for any characters and one; quotes keep
blanks together. Numbers may end in k, M, B, T or %, times in s, m, h or d. A run without the value never compares.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from fnmatch import fnmatchcase

from nanoconsole.services.listed import Listed
from nanoconsole.services.run_fields import BY_NAME, Context, Key, Value, find_key, nearest
from nanocore.errors import UsageError
from nanocore.runs.text import sanitize_line

LONGEST = 500  # characters of a filter
DEEPEST = 20  # brackets inside each other
_TOKEN = re.compile(r'\s*(?:(?P<mark>[()!])|(?P<word>(?:"[^"]*"|[^\s()"])+)|(?P<bad>"))')
_PARTS = re.compile(r"(?P<key>[A-Za-z_][\w./-]*)(?P<operator>>=|<=|!=|=|>|<|:)(?P<value>.*)", re.DOTALL)
_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)(k|M|B|T|%|s|m|h|d)?", re.IGNORECASE)
_UNITS = {"k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12, "%": 0.01}
_TIMES = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_OF_TIME = ("left", "age")
Test = Callable[[Listed, Context], bool]


class FilterError(UsageError):
    """A filter that cannot be understood; `column` counts from 1."""

    def __init__(self, what: str, column: int, fix: str = "") -> None:
        super().__init__(sanitize_line(what), where=f"filter, column {column}", fix=fix)
        self.column = column


@dataclass(frozen=True)
class Filter:
    """A filter that was understood. `config` says that it asks for configurations."""

    text: str
    test: Test
    config: bool = False

    def matches(self, run: Listed, context: Context) -> bool:
        return self.test(run, context)


ALL = Filter("", lambda run, context: True)


@dataclass(frozen=True)
class _Token:
    text: str
    column: int


def parse(text: str, metrics: Collection[str] = ()) -> Filter:
    """The filter that a text means; `metrics` are names that runs recorded, beside those that are known.

    Raises FilterError.
    """
    if len(text) > LONGEST:
        raise FilterError(f"has more than {LONGEST} characters", LONGEST)
    parser = _Parser(_tokens(text), len(text) + 1, metrics)
    return parser.whole(text.strip()) if text.strip() else ALL


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    place = 0
    while match := _TOKEN.match(text, place):
        if match["bad"]:
            raise FilterError('has a " without its partner', match.start("bad") + 1)
        group = "mark" if match["mark"] else "word"
        found.append(_Token(match[group], match.start(group) + 1))
        place = match.end()
    return found


class _Parser:
    """Reads the tokens from left to right."""

    def __init__(self, tokens: list[_Token], end: int, metrics: Collection[str]) -> None:
        self._tokens, self._end, self._metrics = tokens, end, metrics
        self._place = self._depth = 0
        self._config = False

    def whole(self, text: str) -> Filter:
        test = self._either()
        if (token := self._next()) is not None:
            raise FilterError(f"{token.text!r} closes nothing", token.column)
        return Filter(text, test, self._config)

    def _next(self) -> _Token | None:
        return self._tokens[self._place] if self._place < len(self._tokens) else None

    def _either(self) -> Test:
        tests = [self._all()]
        while (token := self._next()) is not None and token.text == "OR":
            self._place += 1
            tests.append(self._all())
        return tests[0] if len(tests) == 1 else lambda run, context: any(test(run, context) for test in tests)

    def _all(self) -> Test:
        tests: list[Test] = []
        while (token := self._next()) is not None and token.text not in ("OR", ")"):
            tests.append(self._term(token))
        if not tests:
            column = self._end if token is None else token.column
            raise FilterError("a condition is missing here", column, "write one such as state:running or loss<2")
        return tests[0] if len(tests) == 1 else lambda run, context: all(test(run, context) for test in tests)

    def _term(self, token: _Token) -> Test:
        self._place += 1
        if token.text == "!":
            if (following := self._next()) is None or following.text in ("OR", ")"):
                raise FilterError("a condition is missing after !", token.column + 1)
            inner = self._deeper(token, lambda: self._term(following))
            return lambda run, context: not inner(run, context)
        if token.text == "(":
            inner = self._deeper(token, self._either)
            if (closing := self._next()) is None or closing.text != ")":
                raise FilterError("this bracket is not closed", token.column)
            self._place += 1
            return inner
        return self._word(token)

    def _deeper(self, token: _Token, read: Callable[[], Test]) -> Test:
        self._depth += 1
        if self._depth > DEEPEST:
            raise FilterError("is nested too deeply", token.column)
        inner = read()
        self._depth -= 1
        return inner

    def _word(self, token: _Token) -> Test:
        match = None if token.text.startswith('"') else _PARTS.fullmatch(token.text)
        if match is None:
            return _contains(BY_NAME["name"].get, _unquoted(token.text))
        name, operator, value = match["key"], match["operator"], _unquoted(match["value"])
        column = token.column + match.start("value")
        if not value:
            raise FilterError(f"a value is missing after {name}{operator}", column)
        if name == "has" and operator == ":":
            return _has(self._key(value, column))
        key = self._key(name, token.column)
        if operator == ":":
            return _matches(key.get, value) if key.whole else _contains(key.get, value)
        return _compares(key, operator, value, column)

    def _key(self, name: str, column: int) -> Key:
        key = find_key(name, self._metrics)
        if key is None:
            near = nearest(name, self._metrics)
            what = f"{name!r} is no field, metric or configuration key"
            raise FilterError(what, column, f"did you mean {near}?" if near else "? on Runs lists them")
        self._config |= key.config
        return key


def _unquoted(text: str) -> str:
    return text.replace('"', "")


def _texts(value: Value) -> tuple[str, ...]:
    if isinstance(value, tuple):
        return value
    return () if value is None else (value if isinstance(value, str) else f"{value:g}",)


def _matches(get: Callable[[Listed, Context], Value], pattern: str) -> Test:
    wanted = pattern.casefold()
    return lambda run, context: any(_like(text, wanted) for text in _texts(get(run, context)))


def _contains(get: Callable[[Listed, Context], Value], text: str) -> Test:
    wanted = text.casefold()
    if "*" in wanted or "?" in wanted:
        return _matches(get, text)
    return lambda run, context: any(wanted in found.casefold() for found in _texts(get(run, context)))


def _like(text: str, pattern: str) -> bool:
    return fnmatchcase(text.casefold(), pattern.replace("[", "[[]"))


def _has(key: Key) -> Test:
    return lambda run, context: key.get(run, context) not in (None, "", (), 0.0)


def _compares(key: Key, operator: str, text: str, column: int) -> Test:
    number = _number(key, text)
    if number is None and operator not in ("=", "!="):
        raise FilterError(
            f"{text!r} is no number", column, f"{operator} compares numbers, such as {key.name}{operator}10"
        )

    def equal(value: Value) -> bool:
        if isinstance(value, int | float) and number is not None:
            return value == number or math.isclose(value, number, rel_tol=1e-9) or (value != value and number != number)
        return any(_like(found, text.casefold()) for found in _texts(_switch(value, text)))

    def holds(run: Listed, context: Context) -> bool:
        value = key.get(run, context)
        if value in (None, "", ()):
            return False
        if operator in ("=", "!="):
            return equal(value) == (operator == "=")
        return isinstance(value, int | float) and number is not None and _ordered(value, operator, number)

    return holds


def _switch(value: Value, text: str) -> Value:
    """A switch as it is written in the filter: on and off are true and false too."""
    words = {"on": "true", "off": "false"}
    return words.get(value, value) if isinstance(value, str) and text.casefold() in ("true", "false") else value


def _ordered(value: float, operator: str, number: float) -> bool:
    if operator in (">", ">="):
        return value > number or (operator == ">=" and value == number)
    return value < number or (operator == "<=" and value == number)


def _number(key: Key, text: str) -> float | None:
    """The number that a text writes; a time where the key is one. None when it is none."""
    if text.casefold() in ("nan", "inf", "-inf"):
        return float(text)
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    unit = (match[2] or "").casefold()
    units = _TIMES if key.name in _OF_TIME else _UNITS
    return float(match[1]) * units[unit] if unit in units else float(match[1]) if not unit else None
