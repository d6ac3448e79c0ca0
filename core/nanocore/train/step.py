"""One optimizer step: forward, backward, clip, update, with the time each part took."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from nanocore.data.batch import Batch
from nanocore.model.loop import Exits
from nanocore.model.router import apply_balance, load_report, routers, take_loads
from nanocore.model.transformer import Transformer
from nanocore.objective.goal import Goal, Terms
from nanocore.objective.micro_batch import MicroBatch, micro_batches
from nanocore.optim.optimizers import Optimizers
from nanocore.runs.failpoint import failpoint
from nanocore.train.distributed import World, sum_gradients, sum_numbers, sum_over_ranks
from nanocore.train.hardware import Machine


@dataclass
class StepResult:
    """Sums over the whole global batch; `ce` is plain next-token cross-entropy in nats per token.

    `parts` are the other terms and facts of the objective by metric name; `loads` (routers, E) the experts' tokens;
    `spike` says what lies far above the steps before.
    """

    targets: int
    ce: float
    entropy: float
    accuracy: float
    grad_norm: float
    applied: bool
    seconds: dict[str, float]
    parts: dict[str, float] = field(default_factory=dict)
    loads: Tensor | None = None
    spike: str = ""

    @property
    def finite(self) -> bool:
        return math.isfinite(self.ce) and math.isfinite(self.grad_norm)


class Stopwatch:
    """Seconds between laps on a monotonic clock, by name."""

    def __init__(self, machine: Machine) -> None:
        self.machine, self.seconds, self._last = machine, {}, time.perf_counter()

    def lap(self, name: str) -> None:
        self.machine.synchronize()
        now = time.perf_counter()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._last
        self._last = now


class Totals:
    """Sums of the terms over micro-batches and processes."""

    def __init__(self, device: torch.device) -> None:
        self.sums = torch.zeros(3, dtype=torch.float64, device=device)  # ce, entropy, correct
        self.parts: dict[str, Tensor] = {}

    def add(self, terms: Terms) -> None:
        self.sums += terms.sums
        for name, value in terms.parts.items():
            self.parts[name] = self.parts.get(name, 0.0) + value.detach().double()

    def over_ranks(self, world: World) -> tuple[list[float], dict[str, float]]:
        values = sum_numbers([*self.sums.tolist(), *(float(value) for value in self.parts.values())], world)
        return values[:3], dict(zip(self.parts, values[3:], strict=True))


def always(_: StepResult) -> bool:
    """Apply every update that is finite."""
    return True


def never(_: StepResult) -> bool:
    """Only look: gradients are left in place, nothing is updated."""
    return False


def take_step(
    model: nn.Module,
    goal: Goal,
    optimizers: Optimizers,
    batch: Batch,
    *,
    machine: Machine,
    world: World,
    accumulation: int,
    grad_clip: float,
    lr_factor: float,
    weight_decay_factor: float,
    admit: Callable[[StepResult], bool] = always,
) -> StepResult:
    """Train on one global batch. A non-finite loss or gradient norm leaves weights and optimizer untouched.

    So does an update that `admit`, asked with what the passes gave, does not want.

    `model` is the goal's core or its compiled form. The loss is divided by counts of the global batch, so that
    accumulation and processes do not change it.
    """
    watch, core = Stopwatch(machine), goal.core
    optimizers.zero_grad()
    totals = accumulate(model, goal, batch, accumulation, machine, world, watch)
    result = _result(goal, totals, float(optimizers.clip(grad_clip)), world, watch)
    if result.finite and admit(result):
        optimizers.step(lr_factor, weight_decay_factor)
        if result.loads is not None and not goal.gate_alone:
            apply_balance(core, result.loads)
        result.applied = True
    watch.lap("optimizer")
    return result


def _result(goal: Goal, totals: Totals, norm: float, world: World, watch: Stopwatch) -> StepResult:
    """What the passes gave, over all ranks, before any update."""
    (ce, entropy, correct), parts = totals.over_ranks(world)
    means = (ce / goal.count, entropy / goal.count, correct / goal.count)
    result = StepResult(goal.count, *means, norm, False, watch.seconds, parts)
    if routers(goal.core):
        result.loads = sum_over_ranks(take_loads(goal.core))
        result.parts |= load_report(goal.core, result.loads).summary
    return result


def accumulate(
    model: nn.Module, goal: Goal, batch: Batch, parts: int, machine: Machine, world: World, watch: Stopwatch
) -> Totals:
    """Forward and backward of every micro-batch; each parameter then holds the gradient of the global batch."""
    totals = Totals(machine.device)
    for micro in micro_batches(batch, rank=world.rank, world=world.size, accumulation=parts, device=machine.device):
        with machine.autocast():
            terms = goal.terms(forward(model, goal.core, micro), micro)
        failpoint("train.micro")
        totals.add(terms)
        watch.lap("forward")
        terms.loss.backward()
        watch.lap("backward")
    sum_gradients(parameter for parameter in goal.core.parameters() if parameter.requires_grad)
    return totals


def forward(model: nn.Module, core: Transformer, micro: MicroBatch) -> Tensor | Exits:
    """Hidden states of a micro-batch: of the last layer, or of every turn of a loop."""
    if core.exit_gate is not None:
        return core.exits(micro.tokens, positions=micro.positions, documents=micro.documents)
    return model(micro.tokens, positions=micro.positions, documents=micro.documents)
