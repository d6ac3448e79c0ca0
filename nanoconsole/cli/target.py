"""What a TARGET names: a preset, a .toml file, or a run whose configuration is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nanocore.errors import UsageError
from nanocore.runs.hints import to_type

if TYPE_CHECKING:
    from nanocore.config.schema import Config
    from nanocore.runs.layout import RunFolder


def configuration(target: str, root: Path, sets: Sequence[str] = ()) -> Config:
    """The resolved configuration of a target, with overrides. A preset goes before a run of the same name.

    Raises UsageError for an unknown name, ConfigError for a configuration that cannot be used.
    """
    from nanocore.config.resolve import resolve

    return resolve(source(target, root), sets)


def source(target: str, root: Path) -> str:
    """What `resolve` reads for a target: the name of a preset, or the path of a TOML file."""
    from nanocore.config.presets import presets
    from nanocore.runs.layout import list_runs

    if is_file(target):
        return target
    names = [preset.name for preset in presets()]
    runs = {run.name: run for run in list_runs(root)}
    if target in runs and target not in names:
        return str(runs[target].config_file)
    if target not in names:
        raise _unknown(target, [*names, *runs])
    return target


def is_file(target: str) -> bool:
    """Whether a target is written as a path."""
    return "/" in target or target.endswith(".toml")


def label(target: str, root: Path) -> str:
    """What new runs of a target are named after: its preset, a file's name, or the preset that a run came from."""
    from nanocore.runs.layout import find_run

    if is_file(target):
        return Path(target).stem
    return target if source(target, root) == target else run_label(find_run(root, target))


def run_label(run: RunFolder) -> str:
    """The preset that a run came from, or its own name."""
    from nanocore.runs.facts import read_facts

    return read_facts(run).preset or run.name


def _unknown(target: str, names: list[str]) -> UsageError:
    from nanocore.config.presets import meant

    fix = meant(target, names) or f"see {to_type('presets list')} and {to_type('runs list')}"
    return UsageError("is neither a preset, a .toml file nor a run", where=target, fix=fix)
