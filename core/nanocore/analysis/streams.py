"""The health of the residual streams, measured on a real training step.

A product of doubly stochastic maps has gain 1 whatever the model does, so what counts most is taken from the tensors
that really flow: norms forward, gradient norms backward, and whether the streams differ at all. The maps themselves are
measured beside it, token by token where every token has its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from torch.utils.weak import WeakTensorKeyDictionary

from nanocore.analysis.stream_health import Health, Verdict, judge, worse
from nanocore.analysis.stream_maps import (
    composite_gains,
    departure,
    least_column_sum,
    second_eigenvalue,
    token_measures,
)
from nanocore.model.hyper_connections import HyperConnection, StreamMaps

MAPS = ("pre", "post", "permutations", "res")  # entries of a record that are lists


@dataclass(frozen=True)
class StreamReport:
    """`summary` holds metrics by name; `layers` one record for each sub-layer, attention and feed-forward apart.

    Norm ratios are of the residual streams' rms after over before (forward), and of the gradient's before over after
    (backward): for all sub-layers together in the summary, for one in a record. Cosines are means over tokens, of all
    pairs of streams and of the closest pair. Gains are the largest row (forward) and column sum (backward) of the
    product of all H_res up to there, averaged over tokens, least_column_sum is the smallest of all. Records also hold
    the maps `pre`, `post`, `res` (row by row) and `permutations` and what `stream_maps` measures of them, averaged over
    tokens; `alpha`, how far a token may move each of the three maps; and `departure`, how far they are from the start.
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
    gradient_in: float | None = None  # None while no gradient came: the streams do not train
    gradient_out: float | None = None
    cosines: Tensor | float = 0.0
    gains: tuple[float, float] = (0.0, 0.0)
    least_column_sum: float = math.inf
    second_eigenvalue: float = 0.0
    maps: dict[str, Tensor] = field(default_factory=dict)


class StreamProbe:
    """Watches a Transformer's residual connections while `attached`, and costs nothing else.

    A step may have several forward and backward passes (micro-batches), and a block may run several times in one; all
    count. What activation checkpointing runs again does not. A compiled model does not call the hooks, so a step to be
    measured must run the model itself. `health` is the latest verdict, `lasting` the worse of the last two.
    """

    def __init__(self, model: nn.Module) -> None:
        named = model.named_modules()  # prediction heads have blocks too, which are not on the way of the streams
        self._connections = {
            name: module for name, module in named if isinstance(module, HyperConnection) and name.startswith("blocks.")
        }
        self._found: dict[str, _SubLayer] = {}
        self._products: MutableMapping[Tensor, Tensor | None] = WeakTensorKeyDictionary()  # by the streams they made
        self.health = self.lasting = Health(Verdict())

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
        rows = [_record(name, found, self._connections[name]) for name, found in seen.items()]
        return StreamReport(_summary(list(seen.values()), rows), rows)

    def judge(self, report: StreamReport, step: int) -> Health:
        """The verdict on a report, which is `health` from now on; it is also written into the report."""
        before, self.health = self.health, judge(report.summary, report.layers, step)
        self.lasting = worse(before, self.health)
        report.summary["mhc/health"] = float(self.health.model.rank)
        for row in report.layers:
            verdict = self.health.sub_layers[row["name"]]
            row |= {"health": verdict.level, "reason": verdict.reason}
        return self.health

    def _hook(self, name: str, connection: HyperConnection) -> RemovableHandle:
        found = self._found[name]

        def after(module: nn.Module, arguments: tuple[Any, ...], output: Tensor) -> None:
            streams = arguments[0]
            if torch._C._current_graph_task_id() != -1:  # inside a backward pass; torch.utils.checkpoint asks it so too
                return
            with torch.no_grad(), torch.autocast(streams.device.type, enabled=False):  # bfloat16 has two digits
                _count_forward(found, streams, output)
                if connection.streams > 1:
                    maps = connection.maps(streams)
                    self._products[output] = product = _extended(self._products.get(streams), maps.res)
                    _count_maps(found, maps, product, streams.shape[0] * streams.shape[1])
            for tensor, key in ((streams, "gradient_in"), (output, "gradient_out")):
                if tensor.requires_grad:
                    tensor.register_hook(lambda gradient, key=key: _add_square(found, key, gradient))

        return connection.register_forward_hook(after)


def _extended(product: Tensor | None, res: Tensor | None) -> Tensor | None:
    """The product of all H_res up to here; None while there are none."""
    return product if res is None else res if product is None else res @ product


def _count_maps(found: _SubLayer, maps: StreamMaps, product: Tensor | None, tokens: int) -> None:
    for key, measure in token_measures(maps).items():
        _add_mean(found.maps, key, measure, tokens)
    if maps.res is not None:
        found.second_eigenvalue += second_eigenvalue(maps.res) * tokens
    forward, backward = composite_gains(product)
    found.gains = (found.gains[0] + forward * tokens, found.gains[1] + backward * tokens)
    found.least_column_sum = min(found.least_column_sum, least_column_sum(product))


def pair_cosines(streams: Tensor) -> Tensor:
    """Cosine of each two streams of (B, T, n, C), mean over tokens: (n, n)."""
    unit = torch.nn.functional.normalize(streams.float(), dim=-1).flatten(0, 1)
    return (unit @ unit.mT).mean(0)


def _others(cosines: Tensor) -> Tensor:
    """The entries of (n, n) for two different streams."""
    return cosines[~torch.eye(len(cosines), dtype=torch.bool, device=cosines.device)]


def _count_forward(found: _SubLayer, streams: Tensor, output: Tensor) -> None:
    tokens = output.shape[0] * output.shape[1]
    found.values += output.numel()
    found.tokens += tokens
    found.square_in += float(streams.float().square().sum())
    found.square_out += float(output.float().square().sum())
    if output.shape[-2] > 1:
        found.cosines = found.cosines + pair_cosines(output) * tokens


def _add_mean(sums: dict[str, Tensor], key: str, map_: Tensor, tokens: int) -> None:
    """Add the mean over tokens of a map (..., k), weighted by their number, to the sum of that name."""
    mean = map_.reshape(-1, map_.shape[-1]).mean(0)
    sums[key] = sums.get(key, torch.zeros_like(mean)) + mean * tokens


def _add_square(found: _SubLayer, key: str, gradient: Tensor) -> None:
    setattr(found, key, (getattr(found, key) or 0.0) + float(gradient.float().square().sum()))


def _ratio(square: float, other: float) -> float:
    return math.sqrt(square / other) if other else math.nan


def _summary(found: list[_SubLayer], rows: list[dict[str, Any]]) -> dict[str, float]:
    first, last = found[0], found[-1]
    summary = {"mhc/forward_norm_ratio": _ratio(last.square_out / last.values, first.square_in / first.values)}
    if first.gradient_in is not None and last.gradient_out is not None:
        summary["mhc/backward_norm_ratio"] = _ratio(first.gradient_in / first.values, last.gradient_out / last.values)
    if last.maps:
        summary["mhc/stream_cosine"] = _mean(rows, "stream_cosine")
        summary["mhc/closest_cosine"] = rows[-1]["closest_cosine"]
        summary["mhc/composite_gain"] = rows[-1]["gain"]
        summary["mhc/composite_gain_backward"] = rows[-1]["gain_backward"]
        summary["mhc/least_column_sum"] = rows[-1]["least_column_sum"]
    mixing = [row for row in rows if "second_eigenvalue" in row]
    if mixing:
        summary["mhc/second_eigenvalue"] = _mean(mixing, "second_eigenvalue")
        summary["mhc/mixing_entropy"] = _mean(mixing, "mixing_entropy")
    return summary


def _mean(rows: list[dict[str, Any]], key: str) -> float:
    return sum(row[key] for row in rows) / len(rows)


def _record(name: str, found: _SubLayer, connection: HyperConnection) -> dict[str, Any]:
    record: dict[str, Any] = {
        "kind": "streams",
        "name": name.removesuffix("_connection"),
        "rms": math.sqrt(found.square_out / found.values),
        "forward_norm_ratio": _ratio(found.square_out, found.square_in),
    }
    if found.gradient_in is not None and found.gradient_out is not None:
        record["backward_norm_ratio"] = _ratio(found.gradient_in, found.gradient_out)
    return record | _map_record(found, connection) if found.maps else record


def _map_record(found: _SubLayer, connection: HyperConnection) -> dict[str, Any]:
    means = {key: (total / found.tokens).tolist() for key, total in found.maps.items()}
    cosines = _others(torch.as_tensor(found.cosines)) / found.tokens
    record: dict[str, Any] = {"stream_cosine": float(cosines.mean()), "closest_cosine": float(cosines.max())}
    record["gain"], record["gain_backward"] = (gain / found.tokens for gain in found.gains)
    record["least_column_sum"] = found.least_column_sum
    if "res" in means:
        record["second_eigenvalue"] = found.second_eigenvalue / found.tokens
    record["departure"] = departure(connection)
    record |= {f"{key}_spread": max(means[key]) - min(means[key]) for key in ("pre", "post")}
    record |= {key: mean[0] for key, mean in means.items() if key not in MAPS}
    if connection.alpha is not None:
        record["alpha"] = connection.alpha.tolist()
    return record | {key: means[key] for key in MAPS if key in means}
