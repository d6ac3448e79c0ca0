"""What can be opened in the editor, or compared with: presets, runs, and a file whose path is typed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nanoconsole.services.listed import Listed
from nanocore.config import toml
from nanocore.config.presets import Preset
from nanocore.config.resolve import target_path
from nanocore.config.schema import Config
from nanocore.runs.text import sanitize_line

MOST = 200  # targets that a search shows; more are found by typing more


@dataclass(frozen=True)
class Target:
    """Something to open: `target` is what `resolve` reads, `detail` says in words what it is."""

    target: str
    name: str
    detail: str


def of_presets(presets: Iterable[Preset]) -> list[Target]:
    """The presets that can be used."""
    return [Target(each.name, each.name, f"preset  {each.description}") for each in presets if not each.problem]


def of_runs(runs: Iterable[Listed]) -> list[Target]:
    """Runs by the configuration that each has saved."""
    return [
        Target(
            str(each.run.config_file),
            each.label,
            f"run  {each.state}" + (f", of {each.summary.preset}" if each.summary.preset else ""),
        )
        for each in runs
    ]


def matching(known: Sequence[Target], query: str, file: str = "file") -> tuple[list[Target], int]:
    """The targets that have every word of a query, at most `MOST`, and how many more there are.

    A query that is a path comes first, as the `file` it names.
    """
    words = query.lower().split()
    found = [each for each in known if all(word in f"{each.name} {each.detail}".lower() for word in words)]
    path = query.strip()
    if "/" in path or path.endswith((".toml", ".gguf")):
        found.insert(0, Target(path, sanitize_line(path), file))
    return found[:MOST], max(0, len(found) - MOST)


def load(target: str) -> Config:
    """The configuration of a target, a run's as it was saved. Raises UsageError or ConfigError."""
    return toml.load(Path(target_path(target)))
