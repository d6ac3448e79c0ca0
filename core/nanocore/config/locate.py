"""Where each key stands in a TOML text, so that an error can name its line.

`tomllib` keeps no positions. This scanner reads text that `tomllib` has already accepted, so it only has to tell
statements, strings, brackets and comments apart. Keys inside inline tables are not listed; readers fall back to
the nearest key above them (`nearest_above`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
    r"|\#[^\n]*"
    r"|[\n\[\]{}=]"
    r"|[^\"'\#\n\[\]{}=]+",
    re.DOTALL,
)
_PART = re.compile(r'"(?:\\.|[^"\\])*"|\'[^\']*\'|[^\s."\']+')


def locate(text: str) -> dict[str, int]:
    """Line numbers (from 1) of all keys and table headers, by dotted name: `model.d_model`, `data.sources[0].kind`."""
    lines: dict[str, int] = {}
    counts: dict[str, int] = {}
    table = ""
    for statement, line in _statements(text):
        if statement.startswith("[["):
            name = _dotted(statement.strip("[]"))
            table = f"{name}[{counts.get(name, 0)}]"
            counts[name] = counts.get(name, 0) + 1
            lines.setdefault(name, line)
            lines[table] = line
        elif statement.startswith("["):
            table = _dotted(statement.strip("[]"))
            lines.setdefault(table, line)
        else:
            key = _dotted(statement)
            lines[f"{table}.{key}" if table else key] = line
    return lines


def nearest_above(key: str, places: Mapping[str, str]) -> str:
    """The place of `key`, or of the nearest table or array above it that has one; "" when none has."""
    while key:
        if key in places:
            return places[key]
        key = key[: max(key.rfind("."), key.rfind("["), 0)]
    return ""


def _statements(text: str) -> Iterator[tuple[str, int]]:
    """Every header (`[a.b]`) and every key left of its `=`, with its line."""
    line, depth, head, start, in_value = 1, 0, "", 1, False
    for match in _TOKEN.finditer(text):
        token = match.group()
        if token == "\n" and depth == 0:
            if head.strip() and not in_value:
                yield head.strip(), start
            head, start, in_value = "", line + 1, False
        elif token == "=" and depth == 0 and not in_value:
            yield head.strip(), start
            in_value = True
        elif in_value:
            depth += (token in "[{") - (token in "]}")
        elif not token.startswith("#"):
            head += token
        line += token.count("\n")
    if head.strip() and not in_value:
        yield head.strip(), start


def _dotted(key: str) -> str:
    return ".".join(part.strip("\"'") for part in _PART.findall(key))
