"""Worker verb `inspect`: what is inside a run's checkpoint or a file, `source` and `step`."""

from __future__ import annotations

from pathlib import Path

from nanocore.infer.locate import locate
from nanocore.worker.channel import Channel, Record


def inspect(request: Record, channel: Channel) -> None:
    source = locate(Path(request["source"]), request.get("step", "latest"))
    from nanocore.infer.contents import contents

    channel.answer({"kind": "done", "contents": contents(source).table()})
