"""One optimizer step: forward, backward, clip, update, with the time each part took."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from nanocore.data.batch import Batch
from nanocore.model.transformer import Transformer
from nanocore.objective.cross_entropy import linear_cross_entropy
from nanocore.optim.optimizers import Optimizers
from nanocore.train.distributed import World, sum_gradients, sum_numbers
from nanocore.train.hardware import Machine


@dataclass
class StepResult:
    """Sums over the whole global batch; `ce` is plain next-token cross-entropy in nats per token."""

    targets: int
    ce: float
    entropy: float
    accuracy: float
    grad_norm: float
    applied: bool
    seconds: dict[str, float]

    @property
    def finite(self) -> bool:
        return math.isfinite(self.ce) and math.isfinite(self.grad_norm)


@dataclass(frozen=True)
class MicroBatch:
    """Rows of one rank's micro-batch as tensors (b, T); `documents` is None when no row has a border."""

    tokens: Tensor
    targets: Tensor
    positions: Tensor
    documents: Tensor | None


class Stopwatch:
    """Seconds between laps on a monotonic clock, by name."""

    def __init__(self, machine: Machine) -> None:
        self.machine, self.seconds, self._last = machine, {}, time.perf_counter()

    def lap(self, name: str) -> None:
        self.machine.synchronize()
        now = time.perf_counter()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._last
        self._last = now


def micro_batches(batch: Batch, world: World, accumulation: int, device: torch.device) -> list[MicroBatch]:
    """Rows r::world of the global batch, in `accumulation` parts.

    The global batch is the same for every number of processes, so a run may continue on another.
    """
    rows = np.arange(world.rank, batch.tokens.shape[0], world.size)
    parts = [part for part in np.array_split(rows, accumulation) if len(part)]
    return [_to_tensors(batch, part, device) for part in parts]


def _to_tensors(batch: Batch, rows: np.ndarray, device: torch.device) -> MicroBatch:
    def tensor(values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values[rows])).to(device, torch.long, non_blocking=True)

    documents = batch.documents[rows]
    borders = bool((documents != documents[:, :1]).any())
    return MicroBatch(
        tensor(batch.tokens),
        tensor(batch.targets),
        tensor(batch.positions),
        tensor(batch.documents) if borders else None,
    )


def take_step(
    model: nn.Module,
    core: Transformer,
    optimizers: Optimizers,
    batch: Batch,
    *,
    machine: Machine,
    world: World,
    accumulation: int,
    grad_clip: float,
    lr_factor: float,
    weight_decay_factor: float,
) -> StepResult:
    """Train on one global batch. A non-finite loss or gradient norm leaves weights and optimizer untouched.

    `model` is `core` or its compiled form. The loss is the sum over targets divided by the global
    count, so that accumulation and processes do not change it.
    """
    watch = Stopwatch(machine)
    optimizers.zero_grad()
    count = int((batch.targets >= 0).sum())
    sums = torch.zeros(3, dtype=torch.float64, device=machine.device)  # ce, entropy, correct
    for micro in micro_batches(batch, world, accumulation, machine.device):
        with machine.autocast():
            hidden = model(micro.tokens, positions=micro.positions, documents=micro.documents)
            loss = linear_cross_entropy(hidden.flatten(0, 1), core.head_weight, micro.targets.flatten())
        sums += torch.stack([loss.sum.detach().double(), loss.entropy_sum.double(), loss.correct.double()])
        watch.lap("forward")
        (loss.sum / max(count, 1)).backward()
        watch.lap("backward")
    sum_gradients(core.parameters())
    norm = optimizers.clip(grad_clip)
    ce, entropy, correct = sum_numbers(sums.tolist(), world)
    result = StepResult(
        count, ce / max(count, 1), entropy / max(count, 1), correct / max(count, 1), float(norm), False, watch.seconds
    )
    if result.finite:
        optimizers.step(lr_factor, weight_decay_factor)
        result.applied = True
    watch.lap("optimizer")
    return result
