"""Shell completion of presets, files and runs. Typer keeps those that begin with what is typed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from nanocore.errors import NanoError

if TYPE_CHECKING:
    from nanocore.runs.layout import RunFolder


def presets(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """The presets with their descriptions."""
    from nanocore.config.presets import presets as known

    return [(preset.name, preset.description) for preset in known()]


def runs(context: typer.Context, incomplete: str) -> list[str]:
    """Every run."""
    return [run.name for run in _folders(context)]


def at_work(context: typer.Context, incomplete: str) -> list[str]:
    """The runs that a trainer works on: only they can be asked for something."""
    from nanocore.runs.liveness import observe

    return [run.name for run in _folders(context) if run.name.startswith(incomplete) and observe(run).at_work]


def models(context: typer.Context, incomplete: str) -> list[str]:
    """Runs, and what was exported to the folder that is typed: GGUF files and folders for transformers."""
    folder = incomplete.rpartition("/")[0]
    prefix = f"{folder}/" if "/" in incomplete else ""
    place = Path(prefix or ".")
    exported = [*place.glob("*.gguf"), *(path.parent for path in place.glob("*/config.json"))]
    return [*runs(context, incomplete), *(f"{prefix}{path.name}" for path in sorted(exported))]


def trash(context: typer.Context, incomplete: str) -> list[str]:
    """The deleted runs."""
    from nanocore.runs.trash import discarded

    return list(dict.fromkeys(one.name for one in discarded(_root(context))))


def _root(context: typer.Context) -> Path:
    """The folder of runs that the line names so far."""
    from nanocore.runs.layout import run_root

    chosen = context.params.get("runs") or context.find_root().params.get("runs")
    return run_root(Path(chosen) if chosen else None)


def _folders(context: typer.Context) -> list[RunFolder]:
    """The runs; none when their folder cannot be read, for the user is in the middle of a line."""
    from nanocore.runs.layout import list_runs

    try:
        return list_runs(_root(context))
    except NanoError:
        return []


def targets(context: typer.Context, incomplete: str) -> list[str | tuple[str, str]]:
    """Presets, TOML files of the folder that is typed, and runs."""
    folder = incomplete.rpartition("/")[0]
    prefix = f"{folder}/" if "/" in incomplete else ""
    files = [f"{prefix}{path.name}" for path in sorted(Path(prefix or ".").glob("*.toml"))]
    return [*presets(context, incomplete), *files, *runs(context, incomplete)]
