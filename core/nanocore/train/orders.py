"""What a person asks of a running trainer: by signal, or by a file in the run's control folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nanocore.errors import StopRequested
from nanocore.runs.control import Command, Inbox

if TYPE_CHECKING:
    from nanocore.train.distributed import World
    from nanocore.train.job import Job


def _silent(*_: object) -> None:
    """There is nobody yet to leave a word to."""


@dataclass
class Orders:
    """Requests that arrived and are not yet obeyed. `sync` makes all ranks see the same ones.

    `unsaved` says that there are steps which no checkpoint has: only then is a stop worth waiting for.
    """

    inbox: Inbox | None = None
    stop: bool = False
    stop_after_checkpoint: bool = False
    checkpoint: bool = False
    sample: bool = False
    fire: bool = False
    paused: bool = False
    exit_code: int = 0
    unsaved: bool = False
    farewell: Callable[[int], object] = _silent  # leaves the last word, when the process ends from within a phase
    forced: Callable[[str, int], object] = _silent  # says that a second signal ended it, without waiting for anybody
    early: list[Command] = field(default_factory=list)  # taken before the loop could acknowledge them

    def poll(self) -> list[Command]:
        """Take new control files (rank 0 only) and return them, to be acknowledged."""
        commands = self.inbox.poll() if self.inbox else []
        for command in commands:
            self._take(command.name)
        early, self.early = self.early, []
        return [*early, *commands]

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
            case "fire":
                self.fire = True
            case "pause":
                self.paused = True
            case "resume":
                self.paused = False

    def sync(self, world: World) -> None:
        """One small all-reduce: a request seen by any rank becomes a request of all."""
        if world.size == 1:
            return
        from nanocore.train.distributed import agree

        names = ("stop", "stop_after_checkpoint", "checkpoint", "sample", "fire", "paused")
        *flags, code = agree([*(int(getattr(self, name)) for name in names), self.exit_code])
        for name, flag in zip(names, flags, strict=True):
            setattr(self, name, bool(flag))
        self.exit_code = code

    def raise_if_stopped(self, world: World | None = None) -> None:
        """For phases in which nothing can be saved yet; with `world` every rank must come here, and all leave together."""
        self.early = self.poll()
        if world is not None:
            self.sync(world)
        if self.stop:
            raise StopRequested(self.exit_code)


def take_orders(job: Job) -> None:
    """Hear what was asked for, on all ranks the same."""
    hear(job)
    job.orders.sync(job.world)


def hear(job: Job) -> None:
    """Take what was asked for, and acknowledge it to whoever asked."""
    for command in job.orders.poll():
        job.reporter.event("acknowledged", command=command.name)
        job.reporter.log(f"command: {command.name}")
