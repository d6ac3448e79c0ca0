"""Worker verb `export`: `source` (a run's or a checkpoint's folder) and what nanocore.api.export takes."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from nanocore.export.place import checkpoint_of, place_of
from nanocore.export.replace import refuse_place
from nanocore.worker.channel import Channel, Record
from nanocore.worker.source import located

OPTIONS = ("to", "output", "scheme", "scale_mode", "head", "architecture", "form", "license", "force")


def export(request: Record, channel: Channel) -> None:
    checkpoint = _meant(request, channel)  # before torch: a mistake is told at once
    from nanocore.api.export import export as write

    report = write(checkpoint, **{key: request[key] for key in OPTIONS if key in request})
    channel.answer({"kind": "done", **asdict(report), "path": str(report.path), "types": dict(report.types)})


def _meant(request: Record, channel: Channel) -> Path:
    """The checkpoint. Raises UsageError for what is none, and for a place that an export must not take."""
    checkpoint = checkpoint_of(located(request, channel))
    to, output = request.get("to", "gguf"), request.get("output")
    path = place_of(checkpoint, to, Path(output).expanduser().absolute() if output else None)
    refuse_place(path, folder=to == "hf", overwrite=bool(request.get("force")))
    return checkpoint
