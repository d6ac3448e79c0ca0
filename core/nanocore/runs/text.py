"""The one choke point for text from outside: log lines, samples, names, exceptions, TOML, metric keys.

Terminals obey escape sequences wherever they come from, and neither Rich nor Textual removes them all. Whatever was
not written by this project goes through `sanitize` when it is read, and is never parsed as markup afterwards.
"""

from __future__ import annotations

import re

LINE_LIMIT = 400

# Characters a terminal or a bidi-aware viewer acts upon instead of drawing them.
_UNSAFE = re.compile(
    "["
    "\x00-\x08\x0b-\x1f"  # C0 without tab and newline
    "\x7f-\x9f"  # DEL and C1: 8-bit CSI, OSC, DCS
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u3164\uffa0"  # drawn as nothing, or change the direction
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # zero width, line separators, bidi, annotations
    "\ud800-\udfff"  # lone surrogates cannot be written as UTF-8
    "\U000e0000-\U000e007f"  # invisible tags
    "]"
)
_BREAKS = re.compile(r"[\n\t]+")


def _visible(match: re.Match[str]) -> str:
    code = ord(match.group())
    return chr(0x2400 + code) if code < 0x20 else "\ufffd"


def sanitize(text: str) -> str:
    """`text` with every character a terminal would act upon made visible; newlines and tabs stay.

    C0 controls become their control pictures (ESC becomes U+241B), all others U+FFFD. Applying it twice changes
    nothing more.
    """
    return _UNSAFE.sub(_visible, text)


def sanitize_line(text: str, limit: int = LINE_LIMIT) -> str:
    """`text` as one safe line of at most `limit` characters; newlines and tabs become one space."""
    line = _BREAKS.sub(" ", sanitize(text[: 4 * limit])).strip()
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def sanitize_data(value: object) -> object:
    """A decoded JSON value with every string in it, keys too, sanitised."""
    if isinstance(value, str):
        return sanitize(value)
    if isinstance(value, list):
        return [sanitize_data(item) for item in value]
    if isinstance(value, dict):
        return {sanitize(str(key)): sanitize_data(item) for key, item in value.items()}
    return value
