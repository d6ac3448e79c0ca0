"""The ternary forward of training on a GPU: tokens quantised and sums scaled by Triton, multiplied by torch's int8 matmul.

It gives torch's bits in fewer passes over memory, and is taken only where that was seen to be so: on the device of the
run, once for each process, its codes and products are compared with torch's, and both are timed.
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

Plain = Callable[[Tensor, Sequence[Matrix], torch.dtype], tuple[Tensor, Tensor, list[Tensor]]]
SAMPLE = (1024, 512, 768)  # tokens, columns and rows of the product that is compared and timed


def products(x: Tensor, matrices: Sequence[Matrix], dtype: torch.dtype) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Codes (N, K) int8 and scale (N, 1) of tokens x (N, K), and x times each matrix transposed: (N, M) in dtype."""
    ops = _ops()
    codes, scale = ops.token_codes(x)
    return codes, scale, [ops.scale_sums(int8_sums(codes, each), by, scale, dtype) for each, by in matrices]


def usable(x: Tensor, matrices: Sequence[Matrix], dtype: torch.dtype, plain: Plain) -> bool:
    """Whether `products` takes these, agrees with `plain` on this device, and is the faster of the two."""
    if not x.is_cuda or torch.float64 in (x.dtype, dtype) or torch.compiler.is_compiling():
        return False
    if any(scale.numel() > 1 for _, scale in matrices) or chosen_path(x.device, len(x)) != "int8":
        return False
    return import_module("nanokernels.triton_language").unavailable(x.device) == "" and better(
        x.device, x.dtype, dtype, plain
    )


@cache
def better(device: torch.device, given: torch.dtype, dtype: torch.dtype, plain: Plain) -> bool:
    """Whether a sample gives the same bits both ways, and sooner this way."""
    tokens, columns, rows = SAMPLE
    x = torch.linspace(-3, 3, tokens * columns, device=device).sin_().view(tokens, columns).to(given)
    codes = (torch.arange(rows * columns, device=device) % 3 - 1).to(torch.int8).view(rows, columns)
    matrices = [(codes, torch.full((1, 1), 0.02, device=device))]
    mine, theirs = products(x, matrices, dtype), plain(x, matrices, dtype)
    if not all(torch.equal(a, b) for a, b in zip([*mine[:2], *mine[2]], [*theirs[:2], *theirs[2]], strict=True)):
        return False
    own = _seconds(lambda: products(x, matrices, dtype), device)
    return own < _seconds(lambda: plain(x, matrices, dtype), device)


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
