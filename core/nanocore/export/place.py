"""Where an export goes, and of which checkpoint. No torch here, so that a mistake is told at once."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from nanocore.checkpoint import manifest
from nanocore.errors import UsageError
from nanocore.export.replace import into_folder
from nanocore.infer.locate import Source
from nanocore.runs.layout import RunFolder

SUFFIXES = {"gguf": ".gguf", "hf": "-hf", "mhc": ".mhc"}


def checkpoint_of(source: Source) -> Path:
    """The checkpoint to export. Raises UsageError for what was exported already: its weights are quantised for good."""
    if source.kind != "checkpoint":
        what = {"gguf": "is a GGUF file already", "hf": "is a Hugging Face folder already"}[source.kind]
        raise UsageError(what, where=source.label, fix="export takes a run or the folder of a checkpoint")
    return source.path


def run_of(checkpoint: Path) -> RunFolder | None:
    """The run in which a checkpoint still lies, or None."""
    run = RunFolder(checkpoint.parent.parent)
    inside = run.run_file.is_file() and checkpoint in manifest.available(run.checkpoints_dir)
    return run if inside else None


def place_of(checkpoint: Path, to: str, output: Path | None) -> Path:
    """`output`, the usual name in it where a file goes into a folder that exists, or without it the run's `exports`.

    Raises UsageError without `output` outside a run.
    """
    run = run_of(checkpoint)
    name = f"{run.name}-{checkpoint.name}" if run else checkpoint.name
    if output is not None:
        return output if to == "hf" else into_folder(output, name + SUFFIXES[to])
    if run is None:
        what, fix = "lies in no run, so nothing says where its export goes", "name a place with --output"
        raise UsageError(what, where=checkpoint.name, fix=fix)
    with suppress(OSError):  # without it `refuse_place` tells
        run.exports_dir.mkdir(exist_ok=True)
    return (run.exports_dir / (name + SUFFIXES[to])).absolute()
