"""The model that a request names."""

from __future__ import annotations

from pathlib import Path

from nanocore.infer.locate import Source, locate
from nanocore.worker.channel import Channel, Record


def located(request: Record, channel: Channel) -> Source:
    """The model of `source` and `step`. Damaged checkpoints that were passed over for it are told at once."""
    source = locate(Path(request["source"]), request.get("step", "latest"))
    if source.passed_over:
        channel.answer({"kind": "notice", "text": source.passed_over})
    return source
