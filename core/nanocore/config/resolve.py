"""What `nanoconsole train TARGET --set ...` means: a preset or a file, then the overrides, then the schema's rules."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nanocore.config import overrides, toml
from nanocore.config.presets import find
from nanocore.config.schema import Config
from nanocore.config.validate import build


def resolve(target: str, sets: Sequence[str] = ()) -> Config:
    """The configuration of a preset's name or a `.toml` file, with `section.key=value` overrides.

    Raises UsageError for an unknown preset or a malformed override, ConfigError with every fault of the result.
    """
    path = target_path(target)
    text = toml.read_text(path)
    table = overrides.apply(toml.parse(text, where=str(path)), sets)
    options = {overrides.parse(override)[0] for override in sets}
    return build(table, where=str(path), places=toml.places(text, str(path)), options=options)


def target_path(target: str) -> Path:
    """The file behind a target: a path when it ends in `.toml` or holds a slash, a preset's name otherwise."""
    if target.endswith(".toml") or "/" in target:
        return Path(target).expanduser()
    return find(target).path
