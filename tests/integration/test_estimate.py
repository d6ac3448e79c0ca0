"""Estimates against the real model: parameters and optimizer state exactly, kept activations and peak measured."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch

from nanocore.bench.live_memory import kept_bytes, peak_bytes
from nanocore.config.estimate import estimate, vocabulary
from nanocore.config.parameters import Role, of_role, total, weights
from nanocore.config.resolve import resolve
from nanocore.config.schema import Config
from nanocore.model.transformer import Transformer
from nanocore.optim.optimizers import Optimizers
from nanocore.train.hardware import choose_machine
from tests.quick import quick

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
    assert estimate(config).activation_bytes == pytest.approx(
        kept_bytes(config, choose_machine(config.hardware)), rel=0.06
    )  # 15 % are promised


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
    "sequential heads, many words": {
        "mtp": {"horizon": 5, "kind": "sequential"}, "data": {"tokenizer": "bpe", "vocab_size": 8192}
    },
    "sequential heads, recomputed": {
        "mtp": {"horizon": 5, "kind": "sequential"}, "model": {"n_layers": 1},
        "training": {"batch_size": 32, "activation_checkpointing": "full"},
    },
    "loop": {"loop": {"count": 4}, "data": {"tokenizer": "bpe", "vocab_size": 4096}},
    "gate": {"loop": {"count": 4, "stage": "gate"}, "optimizer": {"matrices": "lion"}},
    "filtered": {"collider": {"mode": "full"}, "data": {"tokenizer": "bpe", "vocab_size": 4096}},
    "delta": {"delta": {"pattern": "D", "chunk": 8}},
    "fp4": {"fp4": {"format": "mxfp4"}, "model": {"n_layers": 1}, "training": {"batch_size": 16}},
    "galore": {"galore": {"rank_fraction": 0.25}, "model": {"d_model": 192, "d_ff": 512}, "training": {"batch_size": 1}},
}  # fmt: skip


@pytest.mark.parametrize("name", quick(PEAKS, "activations", "gradients", "filtered"))
def test_peak_memory_is_within_15_percent(name: str) -> None:
    config = _config(PEAKS[name])
    assert estimate(config).peak_bytes == pytest.approx(
        peak_bytes(config, choose_machine(config.hardware)), rel=0.15
    )  # 25 % are promised
