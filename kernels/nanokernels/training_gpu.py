"""Ternary training on a GPU: what Triton's kernels do in fewer passes over memory than torch, products excepted.

They give torch's bits and are taken only where that was seen to be so: on the device of the run, once for each process,
what they compute is compared with torch's, and both are timed. Sums are multiplied by torch's int8 matmul.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from nanokernels.int_matmul import chosen_path, int8_sums
from nanokernels.training import Matrix

Products = Callable[[Tensor, Sequence[Matrix], torch.dtype], tuple[Tensor, Tensor, list[Tensor]]]
Codes = Callable[[Tensor, Tensor], Tensor]  # weight (out, in), scale; codes
Values = Callable[[Tensor, Tensor, torch.dtype], Tensor]  # codes, scale, dtype; what they stand for
SAMPLE = (1024, 512, 768)  # tokens, columns and rows of the product that is compared and timed
GROUP = 32  # columns of the sample that share a scale


def products(x: Tensor, matrices: Sequence[Matrix], dtype: torch.dtype) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Codes (N, K) int8 and scale (N, 1) of tokens x (N, K), and x times each matrix transposed: (N, M) in dtype."""
    ops = _ops()
    codes, scale = ops.token_codes(x)
    return codes, scale, [ops.scale_sums(int8_sums(codes, each), by, scale, dtype) for each, by in matrices]


def weight_codes(weight: Tensor, scale: Tensor) -> Tensor:
    """Codes (M, K) int8 of a weight (M, K) for its scale, (1, 1) or (M, groups)."""
    return _ops().weight_codes(weight, scale)


def dequantised(codes: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    """Codes (R, C) int8 times their scale, (1, 1), (R, 1) or (R, groups), in dtype."""
    return _ops().dequantise(codes, scale, dtype)


def usable(x: Tensor, matrices: Sequence[Matrix], dtype: torch.dtype, plain: Products) -> bool:
    """Whether `products` takes these, agrees with `plain` on this device, and is the faster of the two."""
    if not possible(x, dtype) or any(scale.numel() > 1 for _, scale in matrices):
        return False
    return chosen_path(x.device, len(x)) == "int8" and better(x.device, x.dtype, dtype, plain)


def quantises(weight: Tensor, plain: Codes) -> bool:
    """Whether `weight_codes` takes this, agrees with `plain` on this device, and is the faster of the two."""
    return possible(weight, weight.dtype) and better_codes(weight.device, weight.dtype, plain)


def dequantises(codes: Tensor, dtype: torch.dtype, plain: Values) -> bool:
    """Whether `dequantised` gives this dtype, agrees with `plain` on this device, and is the faster of the two."""
    return possible(codes, dtype) and better_values(codes.device, dtype, plain)


def possible(given: Tensor, dtype: torch.dtype) -> bool:
    """Whether Triton's kernels run on what is given and give this dtype."""
    if not given.is_cuda or torch.float64 in (given.dtype, dtype) or torch.compiler.is_compiling():
        return False
    return import_module("nanokernels.triton_language").unavailable(given.device) == ""


@cache
def better(device: torch.device, given: torch.dtype, dtype: torch.dtype, plain: Products) -> bool:
    """Whether a sample's products have the same bits both ways, and come sooner this way."""
    x, codes = sample_tokens(device).to(given), sample_codes(device)
    matrices = [(codes, torch.full((1, 1), 0.02, device=device))]

    def outputs(way: Products) -> list[Tensor]:
        token_codes, scale, made = way(x, matrices, dtype)
        return [token_codes, scale, *made]

    return same_and_sooner(lambda: outputs(products), lambda: outputs(plain), device)


@cache
def better_codes(device: torch.device, given: torch.dtype, plain: Codes) -> bool:
    """The same for the codes of a weight, with one scale and with groups."""
    weight = sample_tokens(device).to(given)
    grouped = weight.float().unflatten(1, (-1, GROUP)).abs().mean(dim=-1)
    scales = [grouped.mean().view(1, 1), grouped]
    return same_and_sooner(
        lambda: [weight_codes(weight, scale) for scale in scales],
        lambda: [plain(weight, scale) for scale in scales],
        device,
    )


@cache
def better_values(device: torch.device, dtype: torch.dtype, plain: Values) -> bool:
    """The same for what codes stand for, with one scale, one for each row, and groups."""
    codes = sample_codes(device)
    grouped = torch.linspace(0.001, 0.1, codes.numel() // GROUP, device=device).view(len(codes), -1)
    scales = [grouped[:1, :1], grouped[:, :1], grouped]
    return same_and_sooner(
        lambda: [dequantised(codes, scale, dtype) for scale in scales],
        lambda: [plain(codes, scale, dtype) for scale in scales],
        device,
    )


def sample_tokens(device: torch.device) -> Tensor:
    """Tokens (N, K) of the sample."""
    tokens, columns, _ = SAMPLE
    return torch.linspace(-3, 3, tokens * columns, device=device).sin_().view(tokens, columns)


def sample_codes(device: torch.device) -> Tensor:
    """Ternary codes (M, K) of the sample."""
    _, columns, rows = SAMPLE
    return (torch.arange(rows * columns, device=device) % 3 - 1).to(torch.int8).view(rows, columns)


def same_and_sooner(mine: Callable[[], list[Tensor]], theirs: Callable[[], list[Tensor]], device: torch.device) -> bool:
    """Whether both give the same bits, and mine sooner."""
    if not all(torch.equal(a, b) for a, b in zip(mine(), theirs(), strict=True)):
        return False
    return _seconds(mine, device) < _seconds(theirs, device)


def _ops() -> Any:
    return import_module("nanokernels.triton_ops")  # importing Triton takes a second, and is of no use without a GPU


def _seconds(work: Callable[[], object], device: torch.device, repeats: int = 5) -> float:
    times = []
    for _ in range(repeats + 1):
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        began = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - began)
    return min(times[1:])
