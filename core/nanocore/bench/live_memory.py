"""Memory of a training step as torch allocates it: what autograd keeps, and the most that is there at one time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakSet

import numpy as np
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from nanocore.config.estimate import vocabulary
from nanocore.config.schema import Config
from nanocore.data.batch import Batch
from nanocore.model.transformer import Transformer
from nanocore.objective.goal import Goal
from nanocore.objective.micro_batch import micro_batches
from nanocore.optim.optimizers import Optimizers
from nanocore.train.hardware import Machine
from nanocore.train.step import forward


class _Saved:
    """A tensor in autograd's graph; it lives as long as the graph holds it."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


def state_bytes(config: Config) -> tuple[int, int]:
    """Live bytes of all optimizer state, and of that of the matrices, on the `meta` device, which has sizes and no memory."""
    with torch.device("meta"):
        model = Transformer(config, vocabulary(config))
        state = Optimizers(model, config).state_tensors()
    matrices = tuple(f"{name}." for name, role in model.roles().items() if role == "matrix")
    sizes = {name: tensor.untyped_storage().nbytes() for name, tensor in state.items()}
    return sum(sizes.values()), sum(size for name, size in sizes.items() if name.startswith(matrices))


def kept_bytes(config: Config, machine: Machine) -> int:
    """Bytes of the different storages that autograd keeps when the loss of a micro-batch is known, parameters apart."""
    model = _model(config, machine)
    parameters = {p.untyped_storage().data_ptr() for p in model.parameters()}
    saved: WeakSet[_Saved] = WeakSet()
    found: list[int] = []

    def note(tensor: Tensor) -> _Saved:
        entry = _Saved(tensor)
        saved.add(entry)
        return entry

    def count(_loss: Tensor) -> None:
        storages = {(s := entry.tensor.untyped_storage()).data_ptr(): s.nbytes() for entry in saved}
        found.append(sum(size for place, size in storages.items() if place not in parameters))

    with torch.autograd.graph.saved_tensors_hooks(note, lambda entry: entry.tensor):
        _losses(config, model, machine, count)
    return found[0]


def peak_bytes(config: Config, machine: Machine) -> int:
    """The largest sum of torch's allocations over model, optimizer and two steps."""
    if machine.device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(machine.device)
        before = torch.cuda.memory_allocated(machine.device)
        _two_steps(config, machine)
        return torch.cuda.max_memory_allocated(machine.device) - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        _two_steps(config, machine)
    assert recorded.profiler is not None and recorded.profiler.kineto_results is not None
    events: list[Any] = [event for event in recorded.profiler.kineto_results.events() if event.name() == "[memory]"]
    now = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        now += event.nbytes()
        peak = max(peak, now)
    return peak


def _two_steps(config: Config, machine: Machine) -> None:
    model = _model(config, machine)
    optimizers = Optimizers(model, config)
    for _ in range(2):
        _losses(config, model, machine, Tensor.backward)
        optimizers.step(1.0, 1.0)
        optimizers.zero_grad()


def _model(config: Config, machine: Machine) -> Transformer:
    model = Transformer(config, vocabulary(config))
    model.initialise(0)
    return model.to(machine.device)


def _losses(config: Config, model: Transformer, machine: Machine, take: Callable[[Tensor], object]) -> None:
    """The loss of each micro-batch of a step, given to `take` while its graph lives."""
    batch = _batch(config, model.vocab_size)
    goal = Goal(model, config, batch, filtering=config.collider.mode != "off")
    parts = config.training.accumulation
    for micro in micro_batches(batch, rank=0, world=1, accumulation=parts, device=machine.device):
        with machine.autocast():
            terms = goal.terms(forward(model, model, micro), micro)
        take(terms.loss)


def _batch(config: Config, words: int) -> Batch:
    """Random tokens, with a document border in each row."""
    rows, length = config.training.batch_size, config.model.context_length
    tokens = np.random.default_rng(0).integers(words, size=(rows, length), dtype=np.int32)
    positions = np.tile(np.arange(length, dtype=np.int32), (rows, 1))
    documents = (positions > length // 2).astype(np.int32) * config.data.isolate_documents
    return Batch(tokens, np.roll(tokens, -1, axis=1), positions, documents)
