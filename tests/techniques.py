"""Every technique, and the pairs a user would combine, as `--set` pairs for tests.tiny; and its first steps, without a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from nanocore.config.schema import Config
from nanocore.data.batch import Batch, make_batch
from nanocore.model.fp4_study import begin_step
from nanocore.model.transformer import Transformer
from nanocore.objective.goal import Goal, Scorer
from nanocore.objective.micro_batch import MicroBatch
from nanocore.optim.optimizers import Optimizers
from nanocore.optim.schedule import lr_factor, weight_decay_factor
from nanocore.train.distributed import World
from nanocore.train.hardware import Machine
from nanocore.train.step import StepResult, take_step
from tests.tiny import tiny_config

# tests.tiny made so small that a whole run takes a third of a second
SMALL = (
    "model.d_model=16", "model.d_ff=32", "model.context_length=16", "mhc.streams=1", "data.workers=0", "training.steps=8",
    "evaluation.every=0", "evaluation.tokens=64", "evaluation.sample_tokens=1", "checkpoint.keep_last=9",
)  # fmt: skip
MOE = ("moe.experts=4", "moe.active=2", "moe.d_expert=16")
FULL_FILTER = ("collider.mode=full", "collider.keep=0.5")
HEAD_FILTER = ("collider.mode=head", "collider.keep=0.5")
GALORE = ("galore.rank_fraction=0.25", "galore.refresh_every=3")

# Equal to the plain run to the bit: what they change is not the result.
SAME = {
    "recompute-full": ("training.activation_checkpointing=full",),
    "recompute-selective": ("training.activation_checkpointing=selective",),
}
MODELS = {
    "mtp-independent": ("mtp.horizon=2",),
    "mtp-sequential": ("mtp.horizon=2", "mtp.kind=sequential", "mtp.final_weight=0.1"),
    "mhc-sinkhorn": ("mhc.streams=2", "mhc.kind=sinkhorn", "mhc.dynamic=true"),
    "mhc-unconstrained": ("mhc.streams=2", "mhc.kind=unconstrained"),
    "mhc-lite": ("mhc.streams=4", "mhc.dynamic=true", "mhc.init=depth"),
    "loop": ("loop.count=3", "loop.before=1"),
    "moe-bias": (*MOE, "moe.shared=1", "moe.bias_rate=0.05"),
    "moe-loss": (*MOE, "moe.balance=loss", "moe.every=2"),
    "delta-gated": ("delta.pattern=DA", "delta.chunk=4"),
    "delta-plain": ("delta.pattern=D", "delta.gated=false", "delta.chunk=8", "delta.conv=0"),
    "relu2": ("model.activation=relu2", "model.sub_norm=true"),
}
OBJECTIVES = {
    "collider-head": HEAD_FILTER,
    "collider-full": (*FULL_FILTER, "collider.start_step=2"),
    "regularisers": ("objective.label_smoothing=0.1", "objective.z_loss=0.01", "objective.entropy_bonus=0.05"),
}
NUMBERS = {
    "fp4-nvfp4": ("fp4.format=nvfp4",),
    "fp4-mxfp4": ("fp4.format=mxfp4", "model.linear=float", "fp4.forward=true"),
    "fp4-token": ("fp4.format=token", "fp4.hadamard=false"),
}
OPTIMIZERS = {
    "lion": ("optimizer.matrices=lion", "optimizer.others=lion", "optimizer.matrix_lr=0.001"),
    "muon+lion": ("optimizer.others=lion", "optimizer.embedding_lr=0.001", "optimizer.scalar_lr=0.001"),
    "adamw": ("optimizer.matrices=adamw",),
    "polar-express": ("optimizer.orthogonalisation=polar-express",),
    "cautious": ("optimizer.matrix_weight_decay=0.1", "optimizer.cautious_weight_decay=true"),
    "int8": ("optimizer.state=int8", "optimizer.state_block=64"),
    "int8-dynamic": ("optimizer.state=int8-dynamic",),
    "int8-stochastic": ("optimizer.state=int8", "optimizer.stochastic_rounding=true"),
    "galore": GALORE,
    "galore-long": ("galore.rank_fraction=0.25", "galore.refresh_every=6"),
    "galore-adaptive": ("galore.rank_fraction=0.25", "galore.refresh_every=1", "galore.adaptive=true"),
    "galore-int8-int4": (*GALORE, "optimizer.state=int8-dynamic", "galore.projector=int4"),
    "galore-stochastic": (*GALORE, "optimizer.state=int8", "optimizer.stochastic_rounding=true", "galore.projector=int8"),
}  # fmt: skip
PAIRS = {
    "e3-full": ("mtp.horizon=2", *HEAD_FILTER, *GALORE, "optimizer.state=int8"),
    "mtp+collider-full": ("mtp.horizon=2", "mtp.kind=sequential", *FULL_FILTER, "mhc.streams=2"),
    "loop+mhc": ("loop.count=2", "mhc.streams=2", "mhc.dynamic=true"),
    "loop+mtp+moe": ("loop.count=2", "mtp.horizon=1", *MOE, "moe.balance=loss"),
    "moe+delta+mhc4+int8": (*MOE, "delta.pattern=DA", "delta.chunk=4", "mhc.streams=4", "optimizer.state=int8"),
    "fp4+moe+recompute": ("fp4.format=nvfp4", *MOE, "training.activation_checkpointing=full"),
    "galore+polar+cautious": (
        *GALORE, "optimizer.orthogonalisation=polar-express", "optimizer.matrix_weight_decay=0.1",
        "optimizer.cautious_weight_decay=true",
    ),
}  # fmt: skip
CASES: dict[str, tuple[str, ...]] = {**SAME, **MODELS, **OBJECTIVES, **NUMBERS, **OPTIMIZERS, **PAIRS}

CPU = torch.device("cpu")
BOS = VOCABULARY = 40  # tokens are 0 .. 40


@dataclass
class Trace:
    """What steps left behind: their results, and the model and optimizers after the last."""

    core: Transformer
    optimizers: Optimizers
    results: list[StepResult] = field(default_factory=list)

    def tensors(self) -> dict[str, bytes]:
        """All weights, buffers and optimizer state, as bytes by name."""
        state = {**self.core.state_dict(), **{f"optimizer.{k}": v for k, v in self.optimizers.state_tensors().items()}}
        return {name: tensor.numpy().tobytes() for name, tensor in state.items()}


def random_batches(config: Config, count: int, seed: int = 0) -> list[Batch]:
    """Batches of random tokens, with documents of about nine."""
    generator = np.random.default_rng(seed)
    shape = (config.training.batch_size, config.model.context_length + 1)
    draws = [generator.integers(0, VOCABULARY, shape) for _ in range(count)]
    marks = [generator.random(shape) < 0.1 for _ in range(count)]
    isolate = config.data.isolate_documents
    return [
        make_batch(np.where(mark, BOS, draw), bos=BOS, isolate_documents=isolate)
        for draw, mark in zip(draws, marks, strict=True)
    ]


def train_steps(
    sets: Sequence[str],
    *,
    count: int = 5,
    world: World | None = None,
    prepare: Callable[[Transformer], None] | None = None,
    reference: Scorer | None = None,
) -> Trace:
    """The first `count` steps of a small run on random text, with the trainer's own step; `prepare` may set weights."""
    config = tiny_config(*SMALL, *sets)
    core = Transformer(config, VOCABULARY + 1)
    core.initialise(config.training.seed)
    if prepare is not None:
        prepare(core)
    trace = Trace(core, Optimizers(core, config))
    for step, batch in enumerate(random_batches(config, count)):
        trace.results.append(one_step(trace, config, batch, step, world or World(0, 1, CPU), reference))
    return trace


def one_step(
    trace: Trace, config: Config, batch: Batch, step: int, world: World, reference: Scorer | None
) -> StepResult:
    """As the training loop makes it."""
    steps, filtering = config.training.steps, config.collider.mode != "off" and step >= config.collider.start_step
    begin_step(trace.core, step, world.rank)
    return take_step(
        trace.core,
        Goal(trace.core, config, batch, progress=step / steps, filtering=filtering, reference=reference),
        trace.optimizers,
        batch,
        machine=Machine(CPU, torch.float32, 1, "test", None),
        world=world,
        accumulation=config.training.accumulation,
        grad_clip=config.optimizer.grad_clip,
        lr_factor=lr_factor(config.schedule, step, steps),
        weight_decay_factor=weight_decay_factor(config.schedule, step, steps),
    )


def fixed_reference(micro: MicroBatch) -> torch.Tensor:
    """A scorer that has learnt nothing: a loss for each token (b, T) that depends on the token alone."""
    return (micro.targets.clamp(min=0) * 7 % 11).float() / 2
