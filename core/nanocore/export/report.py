"""What an export is told about a run, and what it tells back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nanocore.runs.layout import RunFolder
from nanocore.runs.summary import summarize

UNKNOWN = "unknown"  # Hugging Face's word for a licence that nobody stated


@dataclass(frozen=True)
class Facts:
    """What travels with the weights besides the configuration: shown by other tools, read by nothing here."""

    name: str
    license: str = UNKNOWN
    description: str = ""
    figures: Mapping[str, str | int | float] = field(default_factory=dict)


@dataclass(frozen=True)
class ExportReport:
    """What was written where, in lines for a person: `notes` on how, `dropped` what the file leaves out.

    `refused` says of each architecture that was not taken why not; `types` counts tensors by their type.
    """

    path: Path
    architecture: str
    bytes: int
    types: Mapping[str, int]
    notes: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)


def run_facts(run: RunFolder, step: int, *, license: str = UNKNOWN) -> Facts:
    """The facts of a run whose checkpoint of `step` is exported: its preset, and its newest figures."""
    summary = summarize(run)
    figures: dict[str, str | int | float | None] = {
        "run": run.name,
        "preset": summary.preset or None,
        "step": step,
        "steps": summary.steps,
        "tokens": summary.tokens,
        "loss": summary.loss,
        "bits_per_byte": summary.bits_per_byte,
    }
    known = {key: value for key, value in figures.items() if value is not None}
    return Facts(run.name, license, f"A small ternary language model, trained with nanoconsole ({run.name})", known)


def default_path(run: RunFolder, step: int, suffix: str) -> Path:
    """Where an export of a run goes when nobody says where: a file or folder in the run's own `exports`."""
    return run.exports_dir / f"{run.name}-step-{step:08d}{suffix}"
