"""From a raw table to a `Config`, or to all its faults at once, each one line a user can act on."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pydantic import ValidationError

from nanocore.config.locate import nearest_above
from nanocore.config.messages import describe, dotted, show
from nanocore.config.rules import BrokenRules, Problem, broken
from nanocore.config.schema import SCHEMA, Config
from nanocore.errors import ConfigError
from nanocore.runs.text import sanitize_line

MOST_FAULTS = 50


def build(
    table: Mapping[str, Any],
    *,
    where: str = "",
    places: Mapping[str, str] | None = None,
    options: Collection[str] = (),
) -> Config:
    """The configuration of a table; absent keys have their defaults.

    `where` names the table in errors (a file); `places` gives finer positions by dotted key (`file:line`).
    `options` are the keys given with --set, which is then the place of every fault that they take part in.
    Raises ConfigError with one line for each fault: `place: key: what; what to do`.
    """
    found, config = judged(table, options)
    if config is None:
        raise ConfigError([_line(problem, where, places or {}, options) for problem in found])
    return config


def judged(table: Mapping[str, Any], options: Collection[str] = ()) -> tuple[list[Problem], Config | None]:
    """The faults of a table: wrong version, unknown keys, wrong values, and rules broken by the valid keys; without
    any, its configuration.

    Of wrong keys and values at most MOST_FAULTS are described; a file with more is no configuration. For the keys in
    `options` nothing is said of quotes: --set takes bare words.
    """
    found, sections = _version(table), _sections(table)
    try:
        config = Config.model_validate(sections)
    except ValidationError as error:
        faults = error.errors(include_url=False)
        rules = faults[0].get("ctx", {}).get("error")
        if isinstance(rules, BrokenRules):
            return found + rules.problems, None
        found += [describe(dict(fault), bare=dotted(fault["loc"][:2]) in options) for fault in faults[:MOST_FAULTS]]
        found += _rules_of_the_rest(sections, [fault["loc"] for fault in faults])
        return found, None
    return found, None if found else config


def _rules_of_the_rest(sections: Mapping[str, Any], faulty: list[tuple[int | str, ...]]) -> list[Problem]:
    """Rules broken by the valid keys: the invalid ones take their defaults, and rules that read them are skipped."""
    invalid = {dotted(loc[:2]) for loc in faulty}
    valid: dict[str, Any] = {}
    for name, field in Config.model_fields.items():
        kind: Any = field.annotation
        if name in invalid:
            invalid.update(f"{name}.{key}" for key in kind.model_fields)
        table = {} if name in invalid else sections.get(name, {})
        valid[name] = kind.model_validate(
            {key: value for key, value in table.items() if f"{name}.{key}" not in invalid}
        )
    return broken(Config.model_construct(**valid), frozenset(invalid))


def _version(table: Mapping[str, Any]) -> list[Problem]:
    version = table.get("schema", SCHEMA)
    if isinstance(version, int) and not isinstance(version, bool) and version == SCHEMA:
        return []
    what = f"this program reads configurations of version {SCHEMA}, found {show(version)}"
    return [Problem("schema", what, "use the version of nanoconsole that wrote it")]


def _sections(table: Mapping[str, Any]) -> dict[str, Any]:
    return {name: section for name, section in table.items() if name != "schema"}


def _line(problem: Problem, where: str, places: Mapping[str, str], options: Collection[str]) -> str:
    given = dict.fromkeys(options, "--set")
    optional = any(nearest_above(key, given) for key in (problem.key, *problem.keys))
    place = "--set" if optional else nearest_above(problem.key, places) or sanitize_line(where)
    return f"{place}: {problem}" if place else str(problem)
