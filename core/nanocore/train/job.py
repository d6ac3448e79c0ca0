"""All parts of one training process, as the loop needs them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from torch import nn

from nanocore.analysis.streams import StreamProbe
from nanocore.analysis.ternary import TernaryProbe
from nanocore.analysis.updates import UpdateProbe
from nanocore.config.estimate import estimate
from nanocore.config.schema import Config
from nanocore.data.batch import Batch
from nanocore.data.heldout import HeldOut
from nanocore.data.prefetch import Prefetcher
from nanocore.data.prepare import Corpus
from nanocore.data.stream import Plan
from nanocore.model.transformer import Transformer
from nanocore.objective.goal import Scorer
from nanocore.optim.optimizers import Optimizers
from nanocore.runs.layout import RunFolder
from nanocore.train.distributed import World
from nanocore.train.hardware import Machine
from nanocore.train.horizon import Horizon
from nanocore.train.orders import Orders
from nanocore.train.progress import Progress
from nanocore.train.reporter import Reporter
from nanocore.train.window import Window


@dataclass
class Job:
    """Parts made once by `build`; `model` is `core`, or its compiled form."""

    run: RunFolder
    config: Config
    world: World
    machine: Machine
    corpus: Corpus
    heldout: HeldOut
    core: Transformer
    model: nn.Module
    optimizers: Optimizers
    loader: Prefetcher[Plan, Batch]
    progress: Progress
    horizon: Horizon
    orders: Orders
    reporter: Reporter
    streams: StreamProbe | None
    ternary: TernaryProbe
    updates: UpdateProbe
    reference: Scorer | None = None
    window: Window = field(default_factory=Window)
    findings: dict[str, float] = field(default_factory=dict)
    failed_saves: int = 0  # in a row
    save_fault: str | None = None  # of the last save: what to do about it, None when it is safe
    first_step: int = 0
    optimizer_bytes: int = 0
    flops_per_token: int = 0
    clock: float = field(default_factory=time.monotonic)
    processor_clock: float = field(default_factory=time.process_time)
    share_clock: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.first_step = self.progress.step
        self.optimizer_bytes = self.optimizers.live_bytes()
        self.flops_per_token = estimate(self.config).flops_per_token

    def processor_share(self) -> float:
        """Processor time of all threads over threads times the clock's, both since the last call."""
        before, began = self.processor_clock, self.share_clock
        self.processor_clock, self.share_clock = time.process_time(), time.monotonic()
        return (self.processor_clock - before) / (self.machine.threads * (self.share_clock - began))

    def tick(self) -> None:
        """Move the time since the last call into `progress.elapsed`."""
        now = time.monotonic()
        self.progress.elapsed += now - self.clock
        self.clock = now

    def skip_time(self) -> None:
        """Time since the last call does not count (a pause)."""
        self.clock = time.monotonic()
