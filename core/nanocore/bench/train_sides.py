"""The sides of `bench train`: this project's model and optimizers in some configurations, and a plain torch model."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Protocol, cast

import torch
from torch import nn

from nanocore.bench.plain_model import PlainModel
from nanocore.config.estimate import estimate
from nanocore.config.flops import flops_per_token
from nanocore.config.resolve import resolve
from nanocore.config.schema import Config
from nanocore.data.prepare import Corpus
from nanocore.data.stream import batches
from nanocore.model.fp4_study import begin_step
from nanocore.model.transformer import Transformer
from nanocore.objective.goal import Goal
from nanocore.objective.micro_batch import micro_batches
from nanocore.optim.optimizers import Optimizers
from nanocore.train.build import compiled
from nanocore.train.distributed import World
from nanocore.train.hardware import Machine
from nanocore.train.step import Stopwatch, take_step

PLAIN = "plain torch, float"
ONE_STREAM = ("mhc.streams=1", "mhc.dynamic=false")


class Side(Protocol):
    """What trains: `step` returns seconds by part; `tokens` are those of a step."""

    parameters: int
    tokens: int
    flops_per_token: float

    def step(self) -> dict[str, float]: ...


def sides(preset: str, sets: Sequence[str], mode: str, corpus: Corpus, machine: Machine) -> Iterator[tuple[str, Side]]:
    """The configuration, with one stream and with float matrices where it has others, and the plain model of its shape."""
    config = resolve(preset, sets)
    yield "as configured", Ours(config, mode, corpus, machine)
    if config.mhc.streams > 1:
        yield "one stream", Ours(resolve(preset, [*sets, *ONE_STREAM]), mode, corpus, machine)
    if config.model.linear == "ternary":
        yield "float twin", Ours(resolve(preset, [*sets, "model.linear=float"]), mode, corpus, machine)
    yield PLAIN, Plain(config, mode, corpus, machine)


class Ours:
    """A configuration, trained as the trainer trains it, but for three things that would blur or hide what a step costs.

    Batches are made when they are needed, not ahead by threads; token filtering is on from the first step, whatever
    `collider.start_step` says, and chooses by the loss alone, without the reference model of `importance = "excess"`.
    """

    def __init__(self, config: Config, mode: str, corpus: Corpus, machine: Machine) -> None:
        self._config, self._machine, self._world = config, machine, World(0, 1, machine.device)
        core = Transformer(config, corpus.tokenizer.vocab_size)
        core.initialise(config.training.seed)
        self._core = core.to(machine.device)
        self._model = compiled(self._core) if mode == "compiled" else self._core
        self._optimizers, self._stream = Optimizers(self._core, config), batches(corpus, config)
        self.parameters = sum(parameter.numel() for parameter in core.parameters())
        self.tokens, self.flops_per_token = config.tokens_per_step, float(estimate(config).flops_per_token)
        self._steps = 0

    def step(self) -> dict[str, float]:
        started = time.perf_counter()
        batch, _ = next(self._stream)
        waited = time.perf_counter() - started
        begin_step(self._core, self._steps)
        self._steps += 1
        goal = Goal(self._core, self._config, batch, filtering=self._config.collider.mode != "off")
        result = take_step(
            self._model,
            goal,
            self._optimizers,
            batch,
            machine=self._machine,
            world=self._world,
            accumulation=self._config.training.accumulation,
            grad_clip=self._config.optimizer.grad_clip,
            lr_factor=0.1,
            weight_decay_factor=1.0,
        )
        return {"data_wait": waited, **result.seconds}


def plain_flops_per_token(config: Config, words: int) -> int:
    """Arithmetic of a token in the plain model: of all sections only `model` says something about it."""
    return flops_per_token(Config().model_copy(update={"model": config.model}), words)


class Plain:
    """The plain model with torch's AdamW, on the same batches and micro-batches."""

    def __init__(self, config: Config, mode: str, corpus: Corpus, machine: Machine) -> None:
        self._config, self._machine, words = config, machine, corpus.tokenizer.vocab_size
        torch.manual_seed(config.training.seed)
        model = PlainModel(config, words).to(machine.device)
        self._optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
        self._model = cast(nn.Module, torch.compile(model)) if mode == "compiled" else model
        self._stream = batches(corpus, config)
        self.parameters = sum(parameter.numel() for parameter in model.parameters())
        self.tokens, self.flops_per_token = config.tokens_per_step, float(plain_flops_per_token(config, words))

    def step(self) -> dict[str, float]:
        watch, parts = Stopwatch(self._machine), self._config.training.accumulation
        batch, _ = next(self._stream)
        watch.lap("data_wait")
        self._optimizer.zero_grad()
        for micro in micro_batches(batch, rank=0, world=1, accumulation=parts, device=self._machine.device):
            with self._machine.autocast():
                loss = self._model(micro.tokens, micro.targets) / parts
            watch.lap("forward")
            loss.backward()
            watch.lap("backward")
        nn.utils.clip_grad_norm_(self._model.parameters(), 1.0)
        self._optimizer.step()
        watch.lap("optimizer")
        return watch.seconds
