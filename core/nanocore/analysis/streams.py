"""The health of the residual streams, measured on a real training step.

A product of doubly stochastic maps has gain 1 whatever the model does, so what counts here is taken from the tensors
that really flow: norms forward, gradient norms backward, and whether the streams differ at all.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from nanocore.model.hyper_connections import HyperConnection, StreamMaps


@dataclass(frozen=True)
class StreamReport:
    """`summary` holds metrics by name; `layers` one record for each sub-layer, attention and feed-forward apart.

    Norm ratios are of the residual streams' rms after over before (forward), and of the gradient's before over after
    (backward): for all sub-layers together in the summary, for one in a record. Cosines are means over tokens and pairs
    of streams. Composite gains are the largest row (forward) and column sum (backward) of the product of all H_res.
    Records also hold the maps' means over tokens, the spread of H_pre and H_post (largest minus smallest entry), and
    the weights and entropy (nats) of the permutations in H_res.
    """

    summary: dict[str, float]
    layers: list[dict[str, Any]]


@dataclass
class _SubLayer:
    """Sums over the tokens seen while attached; `values` and `tokens` are the divisors."""

    values: int = 0
    tokens: int = 0
    square_in: float = 0.0
    square_out: float = 0.0
    gradient_in: float = 0.0
    gradient_out: float = 0.0
    cosine: float = 0.0
    gains: tuple[float, float] = (0.0, 0.0)
    maps: dict[str, Tensor] = field(default_factory=dict)


class StreamProbe:
    """Watches a Transformer's residual connections while `attached`, and costs nothing else.

    A step may have several forward and backward passes (micro-batches); all count. A compiled model does not call the
    hooks, so a step to be measured must run the model itself.
    """

    def __init__(self, model: nn.Module) -> None:
        named = model.named_modules()
        self._connections = {name: module for name, module in named if isinstance(module, HyperConnection)}
        self._found: dict[str, _SubLayer] = {}
        self._product: Tensor | None = None

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Measure the forward and backward passes inside this block; earlier measurements are forgotten."""
        self._found = {name: _SubLayer() for name in self._connections}
        handles = [self._hook(name, connection) for name, connection in self._connections.items()]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def report(self) -> StreamReport:
        """What was seen in the last `attached` block; empty when nothing passed."""
        seen = {name: found for name, found in self._found.items() if found.values}
        if not seen:
            return StreamReport({}, [])
        return StreamReport(_summary(list(seen.values())), [_record(name, found) for name, found in seen.items()])

    def _hook(self, name: str, connection: HyperConnection) -> RemovableHandle:
        first, found = name == next(iter(self._connections)), self._found[name]

        def after(module: nn.Module, arguments: tuple[Any, ...], output: Tensor) -> None:
            streams = arguments[0]
            if first:
                self._product = None
            with torch.no_grad():
                _count_forward(found, streams, output)
                if connection.streams > 1:
                    self._count_maps(found, connection.maps(streams), streams)
            for tensor, key in ((streams, "gradient_in"), (output, "gradient_out")):
                if tensor.requires_grad:
                    tensor.register_hook(lambda gradient, key=key: _add_square(found, key, gradient))

        return connection.register_forward_hook(after)

    def _count_maps(self, found: _SubLayer, maps: StreamMaps, streams: Tensor) -> None:
        tokens = streams.shape[0] * streams.shape[1]
        _add_mean(found.maps, "pre", maps.pre, tokens)
        _add_mean(found.maps, "post", maps.post, tokens)
        if maps.permutations is not None:
            _add_mean(found.maps, "permutations", maps.permutations, tokens)
            _add_mean(found.maps, "entropy", torch.special.entr(maps.permutations).sum(-1, keepdim=True), tokens)
        if maps.res is not None:
            self._product = maps.res if self._product is None else maps.res @ self._product
        forward, backward = composite_gains(self._product)
        found.gains = (found.gains[0] + forward * tokens, found.gains[1] + backward * tokens)


def composite_gains(product: Tensor | None) -> tuple[float, float]:
    """Largest absolute row and column sum of maps (..., n, n), means over tokens (arXiv 2512.24880, Fig. 3)."""
    if product is None:
        return 1.0, 1.0
    sums = product.abs()
    return float(sums.sum(-1).amax(-1).mean()), float(sums.sum(-2).amax(-1).mean())


def stream_cosine(streams: Tensor) -> float:
    """Mean cosine over tokens and pairs of streams (..., n, C), n > 1."""
    unit = torch.nn.functional.normalize(streams.float(), dim=-1)
    n = streams.shape[-2]
    # The squared length of the sum of n unit vectors is n plus twice the cosines of all pairs.
    pairs = unit.sum(dim=-2).square().sum(dim=-1) - n
    return float(pairs.mean() / (n * (n - 1)))


def _count_forward(found: _SubLayer, streams: Tensor, output: Tensor) -> None:
    tokens = output.shape[0] * output.shape[1]
    found.values += output.numel()
    found.tokens += tokens
    found.square_in += float(streams.float().square().sum())
    found.square_out += float(output.float().square().sum())
    if output.shape[-2] > 1:
        found.cosine += stream_cosine(output) * tokens


def _add_mean(sums: dict[str, Tensor], key: str, map_: Tensor, tokens: int) -> None:
    """Add the mean over tokens of a map (..., k), weighted by their number, to the sum of that name."""
    mean = map_.reshape(-1, map_.shape[-1]).mean(0)
    sums[key] = sums.get(key, torch.zeros_like(mean)) + mean * tokens


def _add_square(found: _SubLayer, key: str, gradient: Tensor) -> None:
    setattr(found, key, getattr(found, key) + float(gradient.float().square().sum()))


def _ratio(square: float, other: float) -> float:
    return math.sqrt(square / other) if other else math.nan


def _summary(found: list[_SubLayer]) -> dict[str, float]:
    first, last = found[0], found[-1]
    summary = {
        "mhc/forward_norm_ratio": _ratio(last.square_out, first.square_in),
        "mhc/backward_norm_ratio": _ratio(first.gradient_in, last.gradient_out),
    }
    if last.maps:
        summary["mhc/stream_cosine"] = sum(each.cosine / each.tokens for each in found) / len(found)
        summary["mhc/composite_gain"] = last.gains[0] / last.tokens
        summary["mhc/composite_gain_backward"] = last.gains[1] / last.tokens
    return summary


def _record(name: str, found: _SubLayer) -> dict[str, Any]:
    record: dict[str, Any] = {
        "kind": "streams",
        "name": name.removesuffix("_connection"),
        "rms": math.sqrt(found.square_out / found.values),
        "forward_norm_ratio": _ratio(found.square_out, found.square_in),
        "backward_norm_ratio": _ratio(found.gradient_in, found.gradient_out),
    }
    if not found.maps:
        return record
    record["stream_cosine"] = found.cosine / found.tokens
    record["gain"], record["gain_backward"] = (gain / found.tokens for gain in found.gains)
    means = {key: (total / found.tokens).tolist() for key, total in found.maps.items()}
    record |= {key: means[key] for key in ("pre", "post", "permutations") if key in means}
    record |= {f"{key}_spread": max(means[key]) - min(means[key]) for key in ("pre", "post")}
    if "entropy" in means:
        record["permutation_entropy"] = means["entropy"][0]
    return record
