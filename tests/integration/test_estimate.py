"""Estimates against the real model: parameters and optimizer state exactly, kept activations and peak measured."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from nanocore.config.estimate import estimate, parameter_counts, vocabulary
from nanocore.config.resolve import resolve
from nanocore.config.schema import Config
from nanocore.model.transformer import Transformer
from nanocore.objective.cross_entropy import linear_cross_entropy
from nanocore.optim.optimizers import Optimizers

MODEL = {"d_model": 64, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "d_ff": 160, "context_length": 32}
CASES: dict[str, dict[str, dict[str, Any]]] = {
    "plain": {},
    "one layer": {"model": {"n_layers": 1}, "mhc": {"streams": 2}},
    "two streams": {"mhc": {"streams": 2}},
    "four dynamic streams": {"mhc": {"streams": 4, "dynamic": True}},
    "float": {"model": {"linear": "float", "activation": "relu2", "qk_norm": False}},
    "float bfloat16": {"model": {"linear": "float", "sub_norm": True}, "hardware": {"dtype": "bfloat16"}},
    "everything": {
        "model": {"group_size": 32, "sub_norm": True, "tie_embeddings": False, "head_dim": 8, "d_ff": 96},
        "mhc": {"streams": 2, "dynamic": True},
        "optimizer": {"others": "lion"},
    },
    "bfloat16": {"mhc": {"streams": 2}, "hardware": {"dtype": "bfloat16"}},
    "one document": {"data": {"isolate_documents": False}, "optimizer": {"matrices": "adamw"}},
}


def _config(case: dict[str, dict[str, Any]]) -> Config:
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


@pytest.mark.parametrize("name", CASES)
def test_parameters_and_optimizer_state_are_exact(name: str) -> None:
    config = _config(CASES[name])
    words = vocabulary(config)
    with torch.device("meta"):
        model = Transformer(config, words)
    expected, roles = parameter_counts(config, words), model.roles()
    for role, count in expected.items():
        tensors = [p for n, p in model.named_parameters() if roles[n] == role]
        assert (sum(p.numel() for p in tensors), len(tensors)) == (count.values, count.tensors), role
    result = estimate(config)
    assert result.parameters == sum(p.numel() for p in model.parameters())
    assert result.weight_bytes == sum(p.nbytes for p in model.parameters())
    assert result.optimizer_bytes == Optimizers(Transformer(config, words), config).live_bytes()


@pytest.mark.parametrize("preset", ["tiny-cpu", "d20", "nano-125m", "nanogpt-cpu"])
def test_presets_are_counted_exactly(preset: str) -> None:
    config = resolve(preset)
    with torch.device("meta"):
        model = Transformer(config, vocabulary(config))
    assert estimate(config).parameters == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("name", CASES)
def test_kept_activations_are_within_15_percent(name: str) -> None:
    config = _config(CASES[name])
    assert estimate(config).activation_bytes == pytest.approx(_kept_bytes(config), rel=0.15)


@pytest.mark.parametrize(
    "case",
    [
        {"mhc": {"streams": 2}},
        {"training": {"batch_size": 8, "accumulation": 4}, "data": {"tokenizer": "bpe", "vocab_size": 4096}},
        {"model": {"d_model": 192, "d_ff": 512}, "training": {"batch_size": 1}},
        {"data": {"tokenizer": "bpe", "vocab_size": 40_000}},
    ],
    ids=["activations", "micro-batches", "gradients", "vocabulary"],
)
def test_peak_memory_is_within_25_percent(case: dict[str, dict[str, Any]]) -> None:
    config = _config(case)
    assert estimate(config).peak_bytes == pytest.approx(_peak_bytes(config), rel=0.25)


def _forward(config: Config, model: Transformer) -> torch.Tensor:
    """The loss of one micro-batch of random tokens, with a document border in each row."""
    rows, length = config.training.batch_size // config.training.accumulation, config.model.context_length
    tokens = torch.randint(0, model.vocab_size, (rows, length))
    positions = torch.arange(length).expand(rows, length).contiguous()
    documents = (positions > length // 2).long() if config.data.isolate_documents else None
    bfloat16 = config.hardware.dtype == "bfloat16"
    with torch.autocast("cpu", torch.bfloat16) if bfloat16 else contextlib.nullcontext():
        hidden = model(tokens, positions=positions, documents=documents)
        return linear_cross_entropy(hidden.flatten(0, 1), model.head_weight, tokens.flatten()).sum


def _kept_bytes(config: Config) -> int:
    """Bytes of the different storages that autograd keeps, parameters apart."""
    model = Transformer(config, vocabulary(config))
    model.initialise(0)
    parameters = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, torch.UntypedStorage] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            kept[storage.data_ptr()] = storage  # held, so that no address is used twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        loss = _forward(config, model)
    assert loss.requires_grad
    return sum(storage.nbytes() for storage in kept.values())


def _peak_bytes(config: Config) -> int:
    """The largest sum of torch allocations over model, optimizer and two steps."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        model = Transformer(config, vocabulary(config))
        model.initialise(0)
        optimizers = Optimizers(model, config)
        for _ in range(2):
            for _ in range(config.training.accumulation):
                _forward(config, model).backward()
            optimizers.step(1.0, 1.0)
            optimizers.zero_grad()
    assert recorded.profiler is not None and recorded.profiler.kineto_results is not None
    events = [event for event in recorded.profiler.kineto_results.events() if event.name() == "[memory]"]
    total = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        total += event.nbytes()
        peak = max(peak, total)
    return peak
