"""Worker verb `export`: `source` (a run's or a checkpoint's folder) and what nanocore.api.export takes."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from nanocore.infer.locate import locate
from nanocore.worker.channel import Channel, Record

OPTIONS = ("to", "step", "output", "scheme", "scale_mode", "head", "architecture", "form", "license", "force")


def export(request: Record, channel: Channel) -> None:
    locate(Path(request["source"]), request.get("step", "latest"))  # before torch: a mistake is told at once
    from nanocore.api.export import export as write

    report = write(request["source"], **{key: request[key] for key in OPTIONS if key in request})
    channel.answer({"kind": "done", **asdict(report), "path": str(report.path), "types": dict(report.types)})
