"""One process at work on a run: where it writes, with whom and on what it computes, whom it hears and tells."""

from __future__ import annotations

from dataclasses import dataclass

from nanocore.runs.layout import RunFolder
from nanocore.train.distributed import World
from nanocore.train.hardware import Machine
from nanocore.train.orders import Orders
from nanocore.train.reporter import Reporter


@dataclass(frozen=True)
class Attempt:
    """What is there before any data or model."""

    run: RunFolder
    world: World
    machine: Machine
    orders: Orders
    reporter: Reporter
