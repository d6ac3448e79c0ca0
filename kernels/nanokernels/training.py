"""The ternary forward of training on the native kernels: quantised once, multiplied exactly, scaled; the same bits as torch.

Weights change at every step, so they are packed at every call: that is paid back by many tokens, not by few. Whether it
is, on this machine, is measured once for each shape and remembered (`autotune.fastest`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

from nanokernels import autotune, native_ops, tuned_file
from nanokernels.packing import pack
from nanokernels.paths import VECTOR, NativePath, available_paths

FEWEST_TOKENS = 64  # fewer do not pay for packing
Matrix = tuple[Tensor, Tensor]  # codes (M, K) int8, scale (1, 1) float32


def products(x: Tensor, matrices: Sequence[Matrix]) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Codes (N, K) int8 and scale (N, 1) of tokens x (N, K) float32, and x times each matrix transposed: (N, M) float32."""
    path = _path()
    assert path is not None
    tokens, isa = native_ops.quantised(x, path)
    outputs = [native_ops.multiply(tokens, pack(*matrix), isa, torch.get_num_threads()) for matrix in matrices]
    return tokens.codes[:, : x.shape[1]], tokens.scales.unsqueeze(1), outputs


def usable(x: Tensor, matrices: Sequence[Matrix]) -> bool:
    """Whether `products` takes these and is the faster way here."""
    plain = x.device.type == "cpu" and x.dtype == torch.float32 and len(x) >= FEWEST_TOKENS
    if not plain or torch.compiler.is_compiling() or _path() is None:
        return False
    if any(scale.numel() > 1 for _, scale in matrices):  # several scales are added up in another order
        return False
    return faster(alike(len(x)), x.shape[1], sum(len(codes) for codes, _ in matrices), torch.get_num_threads())


def alike(tokens: int) -> int:
    """The number of tokens that is measured for so many: the power of two at or below.

    Experts and prompts have another number each time; each measured by itself would cost more than it could save.
    """
    return 1 << (tokens.bit_length() - 1)


@cache
def _path() -> NativePath | None:
    """The best instruction set here; plain C is not worth it."""
    return next((path for path in VECTOR if path in available_paths()), None)


@cache
def faster(tokens: int, columns: int, rows: int, threads: int) -> bool:
    """Whether the native way beats torch's float32 way for a product of this shape, on so many threads.

    Both give the same bits, so a wrong guess costs time and nothing else.
    """
    x = torch.linspace(-1, 1, tokens * columns).view(tokens, columns)
    codes, scale = (torch.arange(rows * columns) % 3 - 1).to(torch.int8).view(rows, columns), torch.ones(1, 1)
    ways = {"native": lambda: products(x, [(codes, scale)]), "torch": lambda: _with_torch(x, codes)}
    clock = time.thread_time if threads == 1 else time.perf_counter
    what = f"training, {tokens} x {columns} x {rows}, torch {torch.__version__}, threads {threads}"
    return autotune.fastest(what, ways, clock) == "native"


tuned_file.forgotten_by(faster.cache_clear)


def _with_torch(x: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
    """The work of the other way: tokens quantised in float32, codes of the weights as float32, one product."""
    scale = x.abs().amax(dim=1, keepdim=True).div_(127.0).clamp_(min=1e-7)
    tokens = (x * scale.reciprocal()).round_()
    return tokens.to(torch.int8), (tokens @ codes.float().mT).mul_(0.5).mul_(scale)
