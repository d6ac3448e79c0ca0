"""Presets: the ones that come with the program, then the user's own, each a TOML file of what differs from the defaults."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal

import platformdirs

from nanocore.config import toml
from nanocore.config.earlier import counterpart
from nanocore.config.fields import changed
from nanocore.config.schema import Config
from nanocore.errors import ConfigError, UsageError
from nanocore.runs.layout import NAME_RULE, valid_name
from nanocore.runs.text import sanitize_line

Origin = Literal["built-in", "yours"]


@dataclass(frozen=True)
class Preset:
    """A named configuration; `expects`: what it needs and how long it takes. `problem` says why the file cannot be used, and is empty when it can."""

    name: str
    description: str
    path: Path
    origin: Origin
    problem: str = ""
    expects: str = ""


def user_folder() -> Path:
    """The folder of the user's own presets; it need not exist."""
    return Path(platformdirs.user_config_dir("nanoconsole")) / "presets"


def presets() -> list[Preset]:
    """All presets by name, built-in ones first. A file that cannot be read is listed with its problem."""
    return [_read(path, origin) for path, origin in _listed()]


def find(name: str) -> Preset:
    """The preset of that name. Raises UsageError with the nearest name when there is none."""
    names = []
    for path, origin in _listed():
        names.append(sanitize_line(path.stem))
        if names[-1] == name:
            return _read(path, origin)
    fix = meant(name, names) or f"the presets are {', '.join(names)}"
    raise UsageError("no preset has this name", where=sanitize_line(name), fix=fix)


def meant(name: str, names: Sequence[str]) -> str:
    """What an unknown name was probably meant to be: what stands for an earlier one, else the nearest of `names`."""
    earlier = counterpart(name)
    close = [earlier.preset] if earlier else difflib.get_close_matches(name, names, 1)
    larger = earlier is not None and earlier.sets
    more = " docs/configuration.md lists what makes it as large as the earlier one" if larger else ""
    return f"did you mean {close[0]}?{more}" if close else ""


def save_preset(name: str, config: Config, description: str, *, base: Path | None = None, text: str = "") -> Path:
    """Write what differs from the defaults as the user's preset `name`; an own preset of that name is replaced.

    With `base`, the TOML file the user started from, its comments and order are kept; with `text` too, those of that
    text, which is the base as the user has edited it.
    Raises UsageError when the name is not allowed or belongs to a built-in preset.
    """
    if not valid_name(name):
        raise UsageError("cannot name a preset", where=sanitize_line(name, 80), fix=f"use {NAME_RULE}")
    if any(preset.name == name and preset.origin == "built-in" for preset in presets()):
        raise UsageError("is the name of a built-in preset", where=name, fix="choose another name")
    path = user_folder() / f"{name}.toml"
    if base is None:
        text = _difference(config, description)
    else:
        text = derived(base, text or _with_changes(base, config), config, description, own=base == path)
    toml.write_text(path, text)
    return path


def derived(base: Path, text: str, config: Config, description: str, *, own: bool = False) -> str:
    """`text`, that of the file `base` with the changes of `config`, as a preset or file with this description.

    What the base expects no longer holds once a key differs, and its comments may not: they are told to be the base's,
    but for the `own` new text of a preset.
    """
    from nanocore.config.write import attributed

    before = toml.load(base)
    values: dict[str, object] = {"about.description": description}
    differing = changed(before, config)
    if before.about.expects and before.about.expects == config.about.expects and differing:
        values["about.expects"] = ""
    if differing and not own:
        text = attributed(text, toml.read_text(base), sanitize_line(base.stem))
    return toml.update_text(text, values)


def _difference(config: Config, description: str) -> str:
    from nanocore.config.write import difference_text

    values = {key: value for key, _, value in changed(Config(), config)}
    return difference_text({"about.description": description, **values})


def _with_changes(base: Path, config: Config) -> str:
    """The text of a file with the keys in which `config` differs."""
    return toml.update_text(toml.read_text(base), {key: value for key, _, value in changed(toml.load(base), config)})


def _listed() -> list[tuple[Path, Origin]]:
    """Files of all presets by name, built-in ones first."""
    folders: list[tuple[Path, Origin]] = [(_built_in_folder(), "built-in"), (user_folder(), "yours")]
    return [(path, origin) for folder, origin in folders for path in _files(folder)]


def _built_in_folder() -> Path:
    return Path(str(files("nanocore_presets")))


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.toml"), key=lambda path: path.stem) if folder.is_dir() else []


def _read(path: Path, origin: Origin) -> Preset:
    name, description, expects, problem = sanitize_line(path.stem), "", "", ""
    try:
        about = toml.read_table(path).get("about", {})
        if isinstance(about, dict):
            description, expects = (sanitize_line(str(about.get(key, ""))) for key in ("description", "expects"))
    except ConfigError as error:
        problem = str(error)
    if not valid_name(path.stem):
        problem = f"its file name cannot name a preset; use {NAME_RULE}"
    if origin == "yours" and (_built_in_folder() / path.name).is_file():
        problem = "a built-in preset has this name; rename the file"
    return Preset(name, description, path, origin, problem, expects)
