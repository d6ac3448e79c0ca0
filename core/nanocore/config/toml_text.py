"""The text of a TOML file: read with limits, parsed with the line of a fault, replaced as a whole.

A file from a stranger may be huge, deeply nested or full of escapes: it is read under limits and every failure is
one `ConfigError` line. Neither the schema nor `tomlkit` is imported, so that whoever only reads pays for neither.
"""

from __future__ import annotations

import contextlib
import os
import re
import tomllib
from pathlib import Path
from typing import Any

from nanocore.config.locate import locate
from nanocore.errors import ConfigError, remedy
from nanocore.files import read_regular
from nanocore.runs.text import sanitize_line

MAX_BYTES = 1 << 20
MAX_KEY_PARTS = 32  # a dotted key costs tomllib quadratic time


def read_text(path: Path) -> str:
    """The text of a TOML file without its byte order mark. Raises ConfigError when unreadable, huge or not UTF-8."""
    where = sanitize_line(str(path))
    try:
        raw = read_regular(path, MAX_BYTES)
    except OSError as error:
        raise ConfigError([f"{where}: cannot be read: {error.strerror}; check the path"]) from None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ConfigError([f"{where}:{line}: is not UTF-8 text; save the file as UTF-8"]) from None


def parse(text: str, *, where: str = "") -> dict[str, Any]:
    """The table in a TOML text. Raises ConfigError with the line of the fault."""
    prefix = f"{sanitize_line(where)}:" if where else "line "
    for number, line in enumerate(text.splitlines(), 1):
        if not line.lstrip().startswith("#") and _key_parts(line) > MAX_KEY_PARTS:
            raise ConfigError([f"{prefix}{number}: a key with more than {MAX_KEY_PARTS} parts; use section.key"])
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ConfigError([f"{prefix}1: is nested too deeply; a configuration has sections and keys only"]) from None
    except tomllib.TOMLDecodeError as error:
        what, line = _place(str(error), text)
        raise ConfigError([f"{prefix}{line}: is not valid TOML: {what}; correct the line"]) from None
    except ValueError:  # an integer beyond Python's limit of digits
        raise ConfigError([f"{prefix}{_line_of_digits(text)}: holds a number of too many digits; shorten it"]) from None


def read_table(path: Path) -> dict[str, Any]:
    """The raw table of a TOML file, at most 1 MiB. Raises ConfigError naming file and line."""
    return parse(read_text(path), where=str(path))


def places(text: str, where: str) -> dict[str, str]:
    """`file:line` of every key of a text, for the errors of `validate.build`."""
    return {key: f"{sanitize_line(where)}:{line}" for key, line in locate(text).items()}


def write_text(path: Path, text: str) -> None:
    """Replace a file by a complete new one: readers see the old text or the new, never half of it."""
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    try:
        if not path.parent.exists():
            path.parent.mkdir(parents=True)
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        where = sanitize_line(str(path))
        advice = remedy(error, "choose another place")
        raise ConfigError([f"{where}: cannot be written: {error.strerror}; {advice}"]) from None


def _key_parts(line: str) -> int:
    """An upper bound of the parts of any dotted key in the line; keys end at `=` or `,`."""
    return max(piece.count(".") for piece in re.split("[=,]", line)) + 1


def _line_of_digits(text: str) -> int:
    """The line with the longest row of digits."""
    digits = max(re.finditer(r"[0-9_]+", text), key=lambda match: len(match.group()))
    return text.count("\n", 0, digits.start()) + 1


def _place(message: str, text: str) -> tuple[str, int]:
    """tomllib's message without its position, and the line that it names."""
    match = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", message)
    if match is None:
        return sanitize_line(message), 1
    line = int(match.group(1)) if match.group(1) else text.count("\n") + 1
    return sanitize_line(message[: match.start()]), line
