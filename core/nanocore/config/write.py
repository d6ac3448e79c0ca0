"""Configurations as TOML text: in full, as a preset of differences, or as an edit that keeps the user's comments."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from nanocore.config.fields import Field, fields, get
from nanocore.config.literals import literal, plain
from nanocore.config.messages import allowed
from nanocore.config.schema import Config
from nanocore.errors import ConfigError
from nanocore.runs.text import sanitize_line

_MARKED = re.compile(r"was .+: ")
_LONGEST = 40  # characters of a value that is told in a comment


def full_text(config: Config, *, comments: bool) -> str:
    """Every section and key in the schema's order, with help and range above each key when `comments`."""
    lines: list[str] = []
    for name, info in Config.model_fields.items():
        doc = (info.annotation.__doc__ or "").strip() if info.annotation else ""
        lines += [f"# {doc}"] * comments + [f"[{name}]"]
        for field in fields():
            if field.section == name:
                lines += [f"# {help_line(field)}"] * comments
                lines.append(f"{field.name} = {literal(get(config, field.key))}")
        lines.append("")
    return "\n".join(lines[:-1]) + "\n"


def difference_text(values: Mapping[str, object]) -> str:
    """A new preset: the given dotted keys only, by section, each with the schema's help beside it."""
    lines: list[str] = []
    for section in Config.model_fields:
        own = [field for field in fields() if field.section == section and field.key in values]
        if own:
            lines += ["", f"[{section}]"]
            lines += [f"{field.name} = {literal(values[field.key])}  # {field.help}" for field in own]
    return "\n".join(lines[1:]) + "\n"


def updated(text: str, values: Mapping[str, object]) -> str:
    """`text` with dotted keys set. New keys come at the end of their section with the schema's help beside them.

    Raises ConfigError when the text is written in a way in which a key cannot be set safely.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    helps = {field.key: field.help for field in fields()}
    try:
        document = tomlkit.parse(text)
        for key, value in values.items():
            section, _, name = key.partition(".")
            if section not in document:
                document[section] = tomlkit.table()
            table: Any = document[section]
            item: Any = tomlkit.parse(f"x = {literal(value)}\n").item("x")
            if name not in table and key in helps:
                item.comment(helps[key])
            table[name] = item
        result = tomlkit.dumps(document)
    except (TOMLKitError, RecursionError, AttributeError, TypeError) as error:
        what = f"the text cannot be edited in place: {sanitize_line(str(error))}"
        raise ConfigError([f"{what}; write its sections as [section]"]) from None
    _require_equal(result, text, values)
    return result


def attributed(text: str, before: str, origin: str) -> str:
    """`text`, which was made from `before`, the text of `origin`, with each comment told to be that of the original
    where it may contradict what was changed: the one it opens with, and those beside values that are others now.

    `steps = 700  # half an hour` becomes `steps = 9  # was 700: half an hour`. Comments that were changed too stay.
    """
    import tomlkit

    helps = {field.help for field in fields()}
    document, originals = tomlkit.parse(text), dict(_items(tomlkit.parse(before)))
    for key, item in _items(document):
        old = originals.get(key)
        if old is None or old.unwrap() == item.unwrap() or old.trivia.comment != item.trivia.comment:
            continue
        comment = item.trivia.comment.removeprefix("#").strip()
        if comment and comment not in helps and not _MARKED.match(comment):
            item.trivia.comment = f"# was {_brief(old)}: {comment}"
    head = f"# Made from {origin} with changes. What {origin} says of itself:\n" if text.startswith("#") else ""
    return head + tomlkit.dumps(document)


def _items(document: Any) -> Iterator[tuple[tuple[str, str], Any]]:
    """What stands on lines of their own in [sections], by section and name."""
    from tomlkit.items import Table

    for section, table in document.items():
        if isinstance(table, Table):
            yield from (((section, name), table.value.item(name)) for name in table)


def _brief(item: Any) -> str:
    text = literal(item.unwrap())
    return text if len(text) <= _LONGEST else "another value"


def _require_equal(result: str, text: str, values: Mapping[str, object]) -> None:
    """The edited text must mean the old text with the new values and nothing else."""
    wanted = tomllib.loads(text)
    for key, value in values.items():
        section, _, name = key.partition(".")
        wanted.setdefault(section, {})[name] = plain(value)
    if tomllib.loads(result) != wanted:
        raise ConfigError(["the text cannot be edited in place; write its sections as [section], one key a line"])


def help_line(field: Field) -> str:
    """Help and allowed values of a key on one line."""
    words = allowed(field)
    return field.help if field.pattern else f"{field.help} {words[:1].upper()}{words[1:]}."
