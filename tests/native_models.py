"""Tiny models of every kind that the native decoder runs, and how far two forwards of one of them are apart."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nanocore.config.schema import Config
from nanocore.infer.native_decoder import NativeDecoder
from nanocore.model.bitlinear import frozen
from nanocore.model.transformer import Transformer

VOCABULARY = 257
SEQUENCES, LENGTH = 16, 16
JITTERS = 4  # times as many texts tell how often the training forward rounds the other way
PIECES = (9, 1, 1, 2, 3)  # how the native decoder gets each sequence: at once, one by one, a few

# Sections by name; keys of `model` stand at the top. Widths fit neither 64 rows nor any vector.
CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "all heads have keys": {"n_kv_heads": 6},
    "one head has keys": {"n_heads": 7, "n_kv_heads": 1},
    "no query-key norm": {"qk_norm": False},
    "sub-norm": {"sub_norm": True},
    "squared ReLU": {"activation": "relu2"},
    "squared ReLU with sub-norm": {"activation": "relu2", "sub_norm": True, "group_size": 4},
    "untied head": {"tie_embeddings": False},
    "scale groups": {"group_size": 8},
    "odd widths": {"d_model": 30, "head_dim": 6, "d_ff": 50},
    "several row blocks": {"d_model": 200, "head_dim": 32, "d_ff": 330, "n_layers": 2},
    "loop": {"loop": {"count": 3}},
    "loop between other blocks": {"loop": {"count": 3, "before": 1, "after": 1}, "mhc": {"streams": 2}},
    "early exit": {"loop": {"count": 4, "exit_threshold": 0.8}},
    "early exit between other blocks": {"loop": {"count": 4, "exit_threshold": 0.6, "before": 1, "after": 1}},
    "experts": {"moe": {"experts": 5, "active": 2}},
    "one expert of several": {"moe": {"experts": 5, "active": 1, "shared": 1, "every": 2}},
    "experts with sub-norm": {
        "moe": {"experts": 6, "active": 3, "shared": 2, "d_expert": 36},
        "activation": "relu2",
        "sub_norm": True,
    },
    "gated DeltaNet": {"delta": {"pattern": "DDA"}},
    "plain DeltaNet": {"delta": {"pattern": "D", "gated": False, "conv": 0, "n_heads": 3, "head_dim": 10}},
    "looped DeltaNet": {
        "delta": {"pattern": "DA", "n_heads": 5, "head_dim": 16, "conv": 3},
        "loop": {"count": 2},
        "mhc": {"streams": 4, "dynamic": True},
    },
} | {
    f"{n} streams, {kind}{', dynamic' if dynamic else ''}": {
        "mhc": {"streams": n, "kind": kind, "dynamic": dynamic, "init": "balanced"}
    }
    for n in (2, 4)
    for kind in ("lite", "sinkhorn", "unconstrained")
    for dynamic in (False, True)
}

MAIN = ("one head has keys", "no query-key norm", "squared ReLU", "sub-norm", "untied head", "scale groups", "odd widths",
        "several row blocks", "early exit between other blocks", "experts", "one expert of several", "looped DeltaNet",
        "plain DeltaNet", "2 streams, lite, dynamic", "4 streams, unconstrained", "4 streams, sinkhorn")  # fmt: skip


def build(seed: int = 0, *, context_length: int = 128, **keys: Any) -> Transformer:
    """A model of a case's keys whose every part matters: branches as large as the stream, no gain or bias trivial."""
    shape = {"d_model": 40, "n_layers": 3, "n_heads": 6, "n_kv_heads": 2, "head_dim": 12, "d_ff": 72}
    sections = {key: value for key, value in keys.items() if isinstance(value, dict)}
    flat = {key: value for key, value in keys.items() if key not in sections}
    config = Config.model_validate({"model": {**shape, "context_length": context_length, **flat}, **sections})
    model = Transformer(config, VOCABULARY)
    model.initialise(seed)
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in model.state_dict().items():
        drawn = torch.randn(tensor.shape, generator=generator)
        if tensor.ndim == 1:
            tensor.add_(drawn, alpha=0.2 if "norm" in name else 0.5)
        elif name.endswith("phi"):  # zero at the start
            tensor.copy_(drawn).div_(tensor.shape[1] ** 0.5)
        elif name.startswith("blocks"):
            tensor.mul_(8.0)
        elif name in ("embedding.weight", "head.weight"):
            tensor.mul_(0.15 / tensor.std())
    return model.eval()


def random_tokens(count: int, seed: int = 0) -> list[int]:
    return torch.randint(0, VOCABULARY, (count,), generator=torch.Generator().manual_seed(seed)).tolist()


@torch.no_grad()
def reference(model: Transformer, tokens: Tensor) -> Tensor:
    """The training forward's logits (B, T, V); with a cache, since only then tokens leave a loop."""
    with frozen(model):
        return model.logits(model(tokens, cache=model.new_cache(*tokens.shape)))


def in_pieces(decoder: NativeDecoder, tokens: list[int], pieces: tuple[int, ...] = PIECES) -> Tensor:
    """Logits (T, V) of a new text that comes in pieces."""
    decoder.reset()
    parts = torch.tensor(tokens).split([*pieces, len(tokens) - sum(pieces)])
    return torch.cat([decoder.forward(part.tolist(), every=True) for part in parts if len(part)])


class Comparison(NamedTuple):
    """Relative logit errors of every token of every text (texts, T) against float64.

    `own` are those of the training forward in float32, `jittered` of it on many more texts, whose embeddings are off by
    half a unit in the last place at random: how often roundings fall the other way, and what comes of it. `wrong_choices`
    counts tokens whose clear likeliest successor differs.
    """

    own: Tensor
    jittered: Tensor
    native: Tensor
    wrong_choices: int


@cache
def compare(name: str) -> Comparison:
    """The training forward in float32, and the native decoder, against the training forward in float64."""
    model = build(**CASES[name])
    tokens = torch.tensor([random_tokens(LENGTH, seed) for seed in range(SEQUENCES)])
    exact = reference(copy.deepcopy(model).double(), tokens)
    own, decoder = reference(model, tokens), NativeDecoder(model)
    native = torch.stack([in_pieces(decoder, row) for row in tokens.tolist()])
    best = own.topk(2, dim=-1)
    clear = best.values[..., 0] - best.values[..., 1] > 0.1
    wrong = int((clear & (native.argmax(-1) != best.indices[..., 0])).sum())
    jittered = torch.cat([_errors(reference(_jittered(model, seed), tokens), exact) for seed in range(JITTERS)])
    return Comparison(_errors(own, exact), jittered, _errors(native, exact), wrong)


def _errors(found: Tensor, expected: Tensor) -> Tensor:
    return distances(found, expected).view(found.shape[:-1])


@torch.no_grad()
def _jittered(model: Transformer, seed: int) -> Transformer:
    moved = copy.deepcopy(model)
    noise = torch.rand(moved.embedding.weight.shape, generator=torch.Generator().manual_seed(seed)) - 0.5
    moved.embedding.weight.mul_(1.0 + noise * 2 * torch.finfo(torch.float32).eps)
    return moved


def distances(found: Tensor, expected: Tensor) -> Tensor:
    """Relative distances of the rows, flattened."""
    return ((found - expected).norm(dim=-1) / expected.norm(dim=-1)).double().flatten()
