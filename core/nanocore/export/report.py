"""What an export is told about a run, and what it tells back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nanocore.runs.curve import newest_attempts, value
from nanocore.runs.layout import RunFolder
from nanocore.runs.records import read_all
from nanocore.runs.summary import summarize

UNKNOWN = "unknown"  # Hugging Face's word for a licence that nobody stated
FIGURES = {"loss": "loss/ce", "held_out_loss": "eval/ce", "bits_per_byte": "eval/bits_per_byte"}


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

    `reason` says why no stock architecture was taken, "" where one was; `types` counts tensors by their type.
    """

    path: Path
    architecture: str
    bytes: int
    types: Mapping[str, int]
    notes: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    reason: str = ""


def run_facts(run: RunFolder, step: int, *, license: str = UNKNOWN) -> Facts:
    """The facts of a run whose checkpoint of `step` is exported: its preset, and its figures at that step.

    A figure that was not measured then is left out: another step's would be of other weights.
    """
    summary = summarize(run)
    figures: dict[str, str | int | float | None] = {
        "run": run.name,
        "preset": summary.preset or None,
        "step": step,
        "steps": summary.steps or None,
        **_measured(run, step),
    }
    known = {key: value for key, value in figures.items() if value is not None}
    return Facts(run.name, license, f"A small ternary language model, trained with nanoconsole ({run.name})", known)


def _measured(run: RunFolder, step: int) -> dict[str, int | float | None]:
    """Tokens, training loss and held-out figures of one step; several records may share it."""
    found: dict[str, int | float | None] = {}
    for record in newest_attempts(read_all(run.metrics_file)):
        if record["step"] == step:
            tokens = record.get("tokens")
            found |= {"tokens": tokens} if type(tokens) is int else {}
            found |= {name: number for name, key in FIGURES.items() if (number := value(record, key)) is not None}
    return found


def default_path(run: RunFolder, step: int, suffix: str) -> Path:
    """Where an export of a run goes when nobody says where: a file or folder in the run's own `exports`."""
    return run.exports_dir / f"{run.name}-step-{step:08d}{suffix}"
