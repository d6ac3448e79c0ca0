"""Estimates against the real model: parameters and optimizer state exactly, kept activations and peak measured."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, get_args
from weakref import WeakSet

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from nanocore.config.estimate import estimate, vocabulary
from nanocore.config.parameters import Role, of_role, total, weights
from nanocore.config.resolve import resolve
from nanocore.config.schema import Config
from nanocore.data.batch import Batch
from nanocore.model.transformer import Transformer
from nanocore.objective.goal import Goal
from nanocore.objective.micro_batch import micro_batches
from nanocore.optim.optimizers import Optimizers
from nanocore.train.step import forward

Tables = dict[str, dict[str, Any]]
MODEL = {"d_model": 64, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "d_ff": 160, "context_length": 32}
BFLOAT16 = {"dtype": "bfloat16"}
CASES: dict[str, Tables] = {
    "plain": {},
    "one layer": {"model": {"n_layers": 1}, "mhc": {"streams": 2}},
    "two streams": {"mhc": {"streams": 2}},
    "four dynamic streams": {"mhc": {"streams": 4, "dynamic": True}},
    "float": {"model": {"linear": "float", "activation": "relu2", "qk_norm": False}},
    "float bfloat16": {"model": {"linear": "float", "sub_norm": True}, "hardware": BFLOAT16},
    "everything": {
        "model": {"group_size": 32, "sub_norm": True, "tie_embeddings": False, "head_dim": 8, "d_ff": 96},
        "mhc": {"streams": 2, "dynamic": True},
        "optimizer": {"others": "lion"},
    },
    "bfloat16": {"mhc": {"streams": 2}, "hardware": BFLOAT16},
    "one document": {"data": {"isolate_documents": False}, "optimizer": {"matrices": "adamw"}},
    "sinkhorn": {"mhc": {"streams": 4, "dynamic": True, "kind": "sinkhorn"}},
    "unconstrained": {"mhc": {"streams": 2, "dynamic": True, "kind": "unconstrained"}},
    "experts": {"moe": {"experts": 4, "shared": 1, "d_expert": 96}},
    "float experts": {
        "model": {"linear": "float", "sub_norm": True, "n_layers": 3},
        "moe": {"experts": 4, "active": 1, "shared": 2, "every": 2, "balance": "loss"},
    },
    "experts bfloat16": {
        "model": {"linear": "float", "activation": "relu2"}, "moe": {"experts": 3}, "hardware": BFLOAT16
    },
    "delta": {"model": {"n_layers": 4}, "delta": {"pattern": "DDDA", "chunk": 16}},
    "plain delta": {
        "model": {"linear": "float"}, "delta": {"pattern": "D", "gated": False, "conv": 0, "n_heads": 2, "chunk": 8}
    },
    "delta bfloat16": {"delta": {"pattern": "D", "chunk": 8}, "hardware": BFLOAT16},
    "independent heads": {"mtp": {"horizon": 3}},
    "sequential heads": {
        "mtp": {"horizon": 2, "kind": "sequential"}, "model": {"tie_embeddings": False}, "mhc": {"streams": 2}
    },
    "loop": {"loop": {"count": 3, "before": 1, "after": 1}, "model": {"n_layers": 4}, "mhc": {"streams": 2}},
    "plain loop": {"loop": {"count": 3}, "optimizer": {"others": "lion"}},
    "gate": {"loop": {"count": 3, "stage": "gate"}},
    "filtered head": {"collider": {"mode": "head", "keep": 0.5}},
    "filtered": {"collider": {"mode": "full"}, "mhc": {"streams": 2}, "mtp": {"horizon": 1}},
    "filtered float": {"collider": {"mode": "full"}, "model": {"linear": "float", "sub_norm": True}},
    "selective": {"training": {"activation_checkpointing": "selective"}, "mhc": {"streams": 2}},
    "full": {"training": {"activation_checkpointing": "full"}, "mhc": {"streams": 4, "dynamic": True}},
    "fp4": {"fp4": {"format": "nvfp4", "forward": True}, "model": {"linear": "float"}, "hardware": BFLOAT16},
    "regularised": {"objective": {"label_smoothing": 0.1, "z_loss": 1e-4}},
    "many": {
        "model": {"n_layers": 4, "sub_norm": True, "tie_embeddings": False},
        "mhc": {"streams": 2, "dynamic": True, "init": "balanced"},
        "loop": {"count": 2, "before": 1},
        "moe": {"experts": 4, "active": 2, "shared": 1, "d_expert": 48, "every": 2},
        "delta": {"pattern": "DA"},
        "mtp": {"horizon": 2, "kind": "sequential"},
        "galore": {"rank_fraction": 0.125},
        "optimizer": {"state": "int8", "others": "lion"},
    },
}  # fmt: skip
STATES: dict[str, Tables] = {
    "int8": {"optimizer": {"state": "int8", "stochastic_rounding": True}, "moe": {"experts": 3}},
    "int8-dynamic": {"optimizer": {"state": "int8-dynamic", "state_block": 64}, "model": {"d_ff": 100}},
    "galore": {"galore": {"rank_fraction": 0.25, "adaptive": True}, "moe": {"experts": 2, "active": 1}},
    "galore int4": {
        "galore": {"rank_fraction": 0.3, "projector": "int4"},
        "optimizer": {"state": "int8", "stochastic_rounding": True, "state_block": 128},
        "model": {"head_dim": 6, "n_kv_heads": 1},
    },
    "galore too large": {"galore": {"rank_fraction": 0.9, "projector": "int8"}},
}  # fmt: skip


def _config(case: Tables) -> Config:
    return Config.model_validate(
        {
            **case,
            "model": MODEL | case.get("model", {}),
            "hardware": {"device": "cpu", "dtype": "float32"} | case.get("hardware", {}),
            "training": {"batch_size": 4} | case.get("training", {}),
        }
    )


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def _on_meta(config: Config) -> Transformer:
    with torch.device("meta"):
        return Transformer(config, vocabulary(config))


@pytest.mark.parametrize("name", [*CASES, *STATES])
def test_parameters_and_optimizer_state_are_exact(name: str) -> None:
    config = _config((CASES | STATES)[name])
    model, counted = _on_meta(config), weights(config, vocabulary(config))
    roles = model.roles()
    for role in get_args(Role):
        tensors = [parameter for name, parameter in model.named_parameters() if roles[name] == role]
        its = of_role(counted, role)
        assert (sum(p.numel() for p in tensors), len(tensors)) == (total(its), its.total()), role
    result = estimate(config)
    assert result.parameters == sum(p.numel() for p in model.parameters())
    assert result.weight_bytes == sum(p.nbytes for p in model.parameters())
    assert result.gradient_bytes == sum(p.nbytes for p in model.parameters() if p.requires_grad)
    assert result.optimizer_bytes == sum(t.nbytes for t in Optimizers(model, config).state_tensors().values())


@pytest.mark.parametrize("preset", ["tiny-cpu", "d20", "nano-125m", "nanogpt-cpu"])
def test_presets_are_counted_exactly(preset: str) -> None:
    config = resolve(preset)
    assert estimate(config).parameters == sum(p.numel() for p in _on_meta(config).parameters())


@pytest.mark.parametrize("name", CASES)
def test_kept_activations_are_within_6_percent(name: str) -> None:
    config = _config(CASES[name])
    assert estimate(config).activation_bytes == pytest.approx(_kept_bytes(config), rel=0.06)  # 15 % are promised


PEAKS: dict[str, Tables] = {
    "activations": {"mhc": {"streams": 2}},
    "micro-batches": {
        "training": {"batch_size": 8, "accumulation": 4}, "data": {"tokenizer": "bpe", "vocab_size": 4096}
    },
    "gradients": {"model": {"d_model": 192, "d_ff": 512}, "training": {"batch_size": 1}},
    "vocabulary": {"data": {"tokenizer": "bpe", "vocab_size": 40_000}},
    "recomputed": {
        "training": {"activation_checkpointing": "full", "batch_size": 16}, "model": {"d_ff": 512, "n_layers": 3}
    },
    "experts": {"moe": {"experts": 8}, "training": {"batch_size": 1}, "optimizer": {"state": "int8"}},
    "independent heads": {"mtp": {"horizon": 3}, "data": {"tokenizer": "bpe", "vocab_size": 4096}},
    "sequential heads": {"mtp": {"horizon": 5, "kind": "sequential"}, "training": {"batch_size": 16}},
    "loop": {"loop": {"count": 4}, "data": {"tokenizer": "bpe", "vocab_size": 4096}},
    "gate": {"loop": {"count": 4, "stage": "gate"}, "optimizer": {"matrices": "lion"}},
    "filtered": {"collider": {"mode": "full"}, "data": {"tokenizer": "bpe", "vocab_size": 4096}},
    "delta": {"delta": {"pattern": "D", "chunk": 8}},
    "fp4": {"fp4": {"format": "mxfp4"}, "model": {"n_layers": 1}, "training": {"batch_size": 16}},
    "galore": {"galore": {"rank_fraction": 0.25}, "model": {"d_model": 192, "d_ff": 512}, "training": {"batch_size": 1}},
}  # fmt: skip


@pytest.mark.parametrize("name", PEAKS)
def test_peak_memory_is_within_15_percent(name: str) -> None:
    config = _config(PEAKS[name])
    assert estimate(config).peak_bytes == pytest.approx(_peak_bytes(config), rel=0.15)  # 25 % are promised


def _batch(config: Config, words: int) -> Batch:
    """Random tokens, with a document border in each row."""
    rows, length = config.training.batch_size, config.model.context_length
    tokens = np.random.default_rng(0).integers(words, size=(rows, length), dtype=np.int32)
    positions = np.tile(np.arange(length, dtype=np.int32), (rows, 1))
    documents = (positions > length // 2).astype(np.int32) * config.data.isolate_documents
    return Batch(tokens, np.roll(tokens, -1, axis=1), positions, documents)


def _losses(config: Config, model: Transformer, take: Callable[[Tensor], object]) -> None:
    """The loss of each micro-batch of a step, given to `take` while its graph lives."""
    batch = _batch(config, model.vocab_size)
    goal = Goal(model, config, batch, filtering=config.collider.mode != "off")
    parts, device = config.training.accumulation, torch.device("cpu")
    bfloat16 = config.hardware.dtype == "bfloat16"
    for micro in micro_batches(batch, rank=0, world=1, accumulation=parts, device=device):
        with torch.autocast("cpu", torch.bfloat16) if bfloat16 else contextlib.nullcontext():
            terms = goal.terms(forward(model, model, micro), micro)
        take(terms.loss)


class _Saved:
    """A tensor in autograd's graph; it lives as long as the graph holds it."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


def _kept_bytes(config: Config) -> int:
    """Bytes of the different storages that autograd keeps when the losses are known, parameters apart."""
    model = Transformer(config, vocabulary(config))
    model.initialise(0)
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
        _losses(config, model, count)
    return found[0]


def _peak_bytes(config: Config) -> int:
    """The largest sum of torch allocations over model, optimizer and two steps."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        model = Transformer(config, vocabulary(config))
        model.initialise(0)
        optimizers = Optimizers(model, config)
        for _ in range(2):
            _losses(config, model, Tensor.backward)
            optimizers.step(1.0, 1.0)
            optimizers.zero_grad()
    assert recorded.profiler is not None and recorded.profiler.kineto_results is not None
    events: list[Any] = [event for event in recorded.profiler.kineto_results.events() if event.name() == "[memory]"]
    now = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        now += event.nbytes()
        peak = max(peak, now)
    return peak
