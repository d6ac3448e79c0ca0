"""Worker verb `validate`: the checks named in `only`, all when it is empty.

Answers `check` when one begins and when it has ended (the fields of nanocore.validation.run.Report), then `done`.
"""

from __future__ import annotations

from dataclasses import asdict

from nanocore.worker.channel import Channel, Record


def validate(request: Record, channel: Channel) -> None:
    from nanocore.validation.run import chosen, run

    for report in run(chosen(request.get("only", ()))):
        channel.answer({"kind": "check", **asdict(report)})
    channel.answer({"kind": "done"})
