"""The parts of a line of TOML that are drawn in colours of their own. A line is judged by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator

Part = tuple[int, int, str]  # from, to, name of the style

_HEADER = re.compile(r"\s*(\[\[?[^\]#]*\]?\]?)")
_KEY = re.compile(r"""\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")
_TOKEN = re.compile(
    r"""(?P<comment>\#.*)"""
    r"""|(?P<string>"(?:\\.|[^"\\])*"?|'[^']*'?)"""
    r"""|(?P<number>(?<![\w.+-])[+-]?(?:\d[\d_]*(?:\.[\d_]+)?(?:[eE][+-]?\d+)?|inf|nan)(?![\w]))"""
    r"""|(?P<bool>\b(?:true|false)\b)"""
)


def parts(line: str) -> Iterator[Part]:
    """What stands where: `section`, `key`, `string`, `number`, `bool`, `comment`."""
    begin = 0
    if header := _HEADER.match(line):
        yield (*header.span(1), "section")
        begin = header.end()
    elif key := _KEY.match(line):
        yield (*key.span(1), "key")
        begin = key.end()
    for match in _TOKEN.finditer(line, begin):
        yield (*match.span(), match.lastgroup or "comment")
