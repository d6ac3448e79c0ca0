"""What a person asks of a running trainer: by signal, or by a file in the run's control folder."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from nanocore.errors import StopRequested
from nanocore.runs.control import Command, Inbox
from nanocore.train.distributed import World, agree

SIGNAL_EXIT = {signal.SIGINT: 130, signal.SIGTERM: 143}


@dataclass
class Orders:
    """Requests that arrived and are not yet obeyed. `sync` makes all ranks see the same ones."""

    inbox: Inbox | None
    stop: bool = False
    stop_after_checkpoint: bool = False
    checkpoint: bool = False
    sample: bool = False
    paused: bool = False
    exit_code: int = 0

    def poll(self) -> list[Command]:
        """Take new control files (rank 0 only) and return them, to be acknowledged."""
        commands = self.inbox.poll() if self.inbox else []
        for command in commands:
            self._take(command.name)
        return commands

    def _take(self, name: str) -> None:
        match name:
            case "stop":
                self.stop = True
            case "stop-after-checkpoint":
                self.stop_after_checkpoint = True
            case "checkpoint":
                self.checkpoint = True
            case "sample":
                self.sample = True
            case "pause":
                self.paused = True
            case "resume":
                self.paused = False

    def sync(self, world: World) -> None:
        """One small all-reduce: a request seen by any rank becomes a request of all."""
        if world.size == 1:
            return
        names = ("stop", "stop_after_checkpoint", "checkpoint", "sample", "paused")
        *flags, code = agree([*(int(getattr(self, name)) for name in names), self.exit_code])
        for name, flag in zip(names, flags, strict=True):
            setattr(self, name, bool(flag))
        self.exit_code = code

    def raise_if_stopped(self) -> None:
        """For phases in which nothing can be saved yet."""
        self.poll()
        if self.stop:
            raise StopRequested(self.exit_code)


@contextmanager
def listening(orders: Orders) -> Iterator[None]:
    """SIGINT and SIGTERM ask for a stop with a checkpoint; the same signal again ends at once."""

    def ask(number: int, _frame: FrameType | None) -> None:
        if orders.stop and orders.exit_code:
            os._exit(orders.exit_code)
        orders.stop = True
        orders.exit_code = SIGNAL_EXIT[signal.Signals(number)]

    previous = {number: signal.signal(number, ask) for number in SIGNAL_EXIT}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
