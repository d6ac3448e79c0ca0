"""How far token filtering bends the gradient: its cosine to the gradient of the whole batch."""

from __future__ import annotations

import torch
from torch import Tensor

from nanocore.data.batch import Batch
from nanocore.model.fp4_study import begin_step
from nanocore.model.router import routers, take_loads
from nanocore.objective.goal import Goal
from nanocore.train.job import Job
from nanocore.train.step import Stopwatch, accumulate


def gradient_cosine(job: Job, batch: Batch, filtered: Goal, whole: Goal) -> float:
    """Two more forward and backward passes of this batch; weights and optimizer stay as they are."""
    one, other = (_gradient(job, batch, goal) for goal in (filtered, whole))
    job.optimizers.zero_grad()
    dot = sum(float((a.double() * b).sum()) for a, b in zip(one, other, strict=True))
    return dot / (_norm(one) * _norm(other) or 1.0)


def _gradient(job: Job, batch: Batch, goal: Goal) -> list[Tensor]:
    job.optimizers.zero_grad()
    begin_step(job.core, job.progress.step, job.world.rank)  # the random numbers of FP4 are the same for both
    watch = Stopwatch(job.machine)
    accumulate(job.core, goal, batch, job.config.training.accumulation, job.machine, job.world, watch)
    if routers(job.core):
        take_loads(job.core)  # these passes do not count
    return [p.grad if p.grad is not None else torch.zeros_like(p) for p in job.core.parameters()]


def _norm(gradients: list[Tensor]) -> float:
    return float(torch.nn.utils.get_total_norm(gradients))
