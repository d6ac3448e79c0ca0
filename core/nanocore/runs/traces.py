"""What a trainer leaves in a run folder, by which a run that was trained is told from one that never was."""

from __future__ import annotations

from collections.abc import Iterator

from nanocore.checkpoint.manifest import folders
from nanocore.runs.curve import usable
from nanocore.runs.layout import RunFolder
from nanocore.runs.records import Record, Tail


def began(run: RunFolder) -> bool:
    """Whether a trainer began with the run: there are records, or checkpoints, damaged ones too."""
    return run.metrics_file.exists() or run.events_file.exists() or bool(folders(run.checkpoints_dir))


def last_saved(run: RunFolder) -> int:
    """The step of the last checkpoint that the events tell of, 0 when they tell of none. Reads all of them."""
    steps = [record["step"] for record in _events(run) if record.get("kind") == "checkpoint" and usable(record)]
    return steps[-1] if steps else 0


def _events(run: RunFolder) -> Iterator[Record]:
    tail = Tail(run.events_file)
    while (records := tail.read()) or tail.pending:
        yield from records
