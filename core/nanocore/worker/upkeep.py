"""Worker verbs that keep runs in order: `runs-verify`, `runs-repair`, `runs-pack`, `runs-unpack`.

The console gives them to a worker so that its own thread goes on drawing, and so that a run they hold is held by a process
that may be ended. When stdin ends, work that is half done is undone first.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from threading import Event

from nanocore.runs.layout import RunFolder
from nanocore.worker.channel import Channel, Record

INTERVAL = 0.1  # seconds between two answers about progress
CLEARING = 1.5  # seconds in which ended work clears away what it began; the console waits for two


class Ended(Exception):
    """Nobody waits for the work any more."""


class Watched:
    """Tells progress, at most ten times a second; raises Ended once the console is gone."""

    def __init__(self, channel: Channel) -> None:
        self._channel, self.gone, self._told = channel, Event(), 0.0

    def tell(self, doing: str, done: int, total: int) -> None:
        if self.gone.is_set():
            raise Ended
        now = time.monotonic()
        if now - self._told >= INTERVAL:
            self._told = now
            self._channel.answer({"kind": "progress", "phase": doing, "done": done, "total": total})


def verify(request: Record, channel: Channel) -> None:
    """Every part of the `runs` (paths), with the `place` of its run among them, as it was read."""
    from nanocore.runs.integrity import verify_run

    for place, path in enumerate(request["runs"]):
        for finding in verify_run(RunFolder(Path(path))):
            channel.answer({"kind": "finding", "place": place, **asdict(finding)})
    channel.answer({"kind": "done"})


def repair(request: Record, channel: Channel) -> None:
    """What was done to `run`; with `dry` what would be."""
    from nanocore.runs.repair import repair as put_in_order

    run, dry = RunFolder(Path(request["run"])), bool(request["dry"])
    if dry:
        actions = put_in_order(run.path.parent, run, dry=True)
    else:
        with _whole(channel):
            actions = put_in_order(run.path.parent, run)
    channel.answer({"kind": "done", "actions": [asdict(action) for action in actions]})


def pack(request: Record, channel: Channel) -> None:
    """`run` as an archive at `path`."""
    from nanocore.runs.pack import pack_run

    with _whole(channel) as watched:
        packed = pack_run(RunFolder(Path(request["run"])), Path(request["path"]), watched.tell)
        channel.answer({"kind": "done", **asdict(packed), "path": str(packed.path)})


def unpack(request: Record, channel: Channel) -> None:
    """A run under `root` of the archive at `path`, named `name` or as it was."""
    from nanocore.runs.unpack import unpack_run

    with _whole(channel) as watched:
        path, name = Path(request["path"]), request["name"]
        run = unpack_run(Path(request["root"]), path, name=name, progress=watched.tell)
        channel.answer({"kind": "done", "run": run.name, "path": str(run.path)})


@contextmanager
def _whole(channel: Channel) -> Iterator[Watched]:
    """When stdin ends, the work is told to stop and has a moment to leave nothing half-made."""
    watched, cleared = Watched(channel), Event()

    def end() -> None:
        watched.gone.set()
        cleared.wait(CLEARING)

    channel.on_end(end)
    try:
        yield watched
    except Ended:
        pass
    finally:
        cleared.set()
