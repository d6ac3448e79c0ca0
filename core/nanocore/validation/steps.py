"""The first steps of training a small model on random text, with the trainer's own step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
import torch._dynamo
from torch import Tensor

from nanocore.config.schema import Config
from nanocore.data.batch import Batch, make_batch
from nanocore.model.fp4_study import begin_step
from nanocore.model.transformer import Transformer
from nanocore.objective.goal import Goal
from nanocore.objective.micro_batch import MicroBatch, micro_batches
from nanocore.optim.optimizers import Optimizers
from nanocore.optim.schedule import lr_factor, weight_decay_factor
from nanocore.train.distributed import World
from nanocore.train.hardware import Machine
from nanocore.train.step import StepResult, take_step
from nanocore.validation.tiny import WORDS, tiny_model

CPU = torch.device("cpu")
BOS = WORDS - 1  # of the random text
NEW_DOCUMENT = 0.1  # chance of a border at a place of it


def random_batch(config: Config, seed: int = 0) -> Batch:
    """Random tokens in documents of about ten."""
    generator = np.random.default_rng(seed)
    shape = (config.training.batch_size, config.model.context_length + 1)
    drawn, borders = generator.integers(0, BOS, shape), generator.random(shape) < NEW_DOCUMENT
    rows = np.where(borders, BOS, drawn)
    return make_batch(rows, bos=BOS, isolate_documents=config.data.isolate_documents)


def as_micro(batch: Batch) -> MicroBatch:
    """The whole batch as tensors."""
    return micro_batches(batch, rank=0, world=1, accumulation=1, device=CPU)[0]


@dataclass
class Trace:
    """What steps left behind: their results, and the model and optimizers after the last."""

    core: Transformer
    optimizers: Optimizers
    results: list[StepResult] = field(default_factory=list)

    def tensors(self) -> dict[str, Tensor]:
        """Copies of all weights, buffers and optimizer state."""
        state = {**self.core.state_dict(), **{f"optimizer.{k}": v for k, v in self.optimizers.state_tensors().items()}}
        return {name: tensor.clone() for name, tensor in state.items()}


def begin(*sets: str, double: bool = False) -> Trace:
    """A small model of the random text's tokens and its optimizers, before the first step."""
    core = tiny_model(1, *sets, words=WORDS).train()
    core = core.double() if double else core
    return Trace(core, Optimizers(core, core.config))


def train_steps(*sets: str, count: int, prepare: Callable[[Transformer], None] | None = None) -> Trace:
    """The first `count` steps; `prepare` may set weights before."""
    trace = begin(*sets)
    if prepare is not None:
        prepare(trace.core)
    for step in range(count):
        trace.results.append(one_step(trace, random_batch(trace.core.config, step), step))
    return trace


def one_step(trace: Trace, batch: Batch, step: int) -> StepResult:
    """As the training loop makes it, on one process and the CPU in float32."""
    config, steps = trace.core.config, trace.core.config.training.steps
    filtering = config.collider.mode != "off" and step >= config.collider.start_step
    begin_step(trace.core, step)
    return take_step(
        trace.core,
        Goal(trace.core, config, batch, progress=step / steps, filtering=filtering),
        trace.optimizers,
        batch,
        machine=Machine(CPU, torch.float32, 1, "CPU", None),
        world=World(0, 1, CPU),
        accumulation=config.training.accumulation,
        grad_clip=config.optimizer.grad_clip,
        lr_factor=lr_factor(config.schedule, step, steps),
        weight_decay_factor=weight_decay_factor(config.schedule, step, steps),
    )
