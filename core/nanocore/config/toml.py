"""TOML files of configurations: reading, and writing with comments kept.

`tomlkit` (slow to import) is loaded only by the functions that write; limits and error lines are those of `toml_text`.
"""

from __future__ import annotations

from pathlib import Path

from nanocore.config.schema import SCHEMA, Config
from nanocore.config.toml_text import MAX_BYTES, parse, places, read_table, read_text, write_text
from nanocore.config.validate import build

__all__ = [
    "MAX_BYTES",
    "dump",
    "load",
    "parse",
    "places",
    "read_table",
    "read_text",
    "save",
    "update_text",
    "write_text",
]


def load(path: Path) -> Config:
    """The configuration in a TOML file; absent keys have their defaults. Raises ConfigError, one line a fault."""
    text = read_text(path)
    return build(parse(text, where=str(path)), where=str(path), places=places(text, str(path)))


def dump(config: Config, *, comments: bool = False) -> str:
    """Every key of a configuration as TOML; with `comments`, the schema's help stands above each key."""
    from nanocore.config.write import full_text

    return f"schema = {SCHEMA}\n\n{full_text(config, comments=comments)}"


def save(config: Config, path: Path) -> None:
    """Write every key to `path`, replacing the file in one step. Raises ConfigError when it cannot be written."""
    write_text(path, dump(config))


def update_text(text: str, values: dict[str, object]) -> str:
    """`text` with the dotted keys of `values` set; comments, order and all other lines stay as they are."""
    from nanocore.config.write import updated

    return updated(text, values)
