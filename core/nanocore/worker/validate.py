"""Worker verb `validate`: the checks named in `only`, all when it is empty; `full` and `keep` (a folder) as asked for.

Answers `check` when one begins and when it has ended (the fields of nanocore.validation.run.Report), then `done`.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from nanocore.worker.channel import Channel, Record


def validate(request: Record, channel: Channel) -> None:
    from nanocore.validation.run import chosen, run
    from nanocore.validation.workshop import Workshop

    entries, keep = chosen(request.get("only", ())), request.get("keep")
    with Workshop(full=bool(request.get("full")), keep=Path(keep) if keep else None) as workshop:
        channel.on_end(workshop.close)
        for report in run(entries, workshop):
            channel.answer({"kind": "check", **asdict(report)})
    channel.answer({"kind": "done"})
