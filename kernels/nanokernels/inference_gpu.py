"""Products of few tokens with packed ternary matrices on a GPU: a quarter of the bytes that int8 codes take.

As in `training_gpu`, Triton's kernels are taken only where they were seen to give torch's bits sooner: on the device of
the process, once, with one token.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from nanokernels import training_gpu
from nanokernels.training import Matrix
from nanokernels.training_gpu import Products
from nanokernels.triton_planes import Planes, pack_planes

FEWEST, MOST = 1, 16  # tokens; with more, reading the matrix is not what takes the time


def products(x: Tensor, matrices: Sequence[Planes], dtype: torch.dtype) -> list[Tensor]:
    """x (N, K) quantised per token, times each packed matrix (M, K) transposed: (N, M) in dtype."""
    codes, scale, offsets = _module("triton_ops").padded_token_codes(x, groups=1)
    product = _module("triton_linear").scaled_product
    return [product(codes, scale, offsets, planes, dtype=dtype) for planes in matrices]


def usable(x: Tensor, matrices: Sequence[Matrix], dtype: torch.dtype, plain: Products) -> bool:
    """Whether `products` takes these, agrees with `plain` on this device, and is the faster of the two.

    Matrices with several scales are left out: theirs are added up in another order.
    """
    if len(x) > MOST or any(scale.numel() > 1 for _, scale in matrices):
        return False
    return training_gpu.possible(x, dtype) and better(x.device, x.dtype, dtype, plain)


@cache
def better(device: torch.device, given: torch.dtype, dtype: torch.dtype, plain: Products) -> bool:
    """Whether a sample's products have the same bits both ways, and come sooner this way."""
    x, codes = training_gpu.sample_tokens(device)[:FEWEST].to(given), training_gpu.sample_codes(device)
    matrix = codes, torch.full((1, 1), 0.02, device=device)
    planes = pack_planes(*matrix)
    return training_gpu.same_and_sooner(
        lambda: products(x, [planes], dtype), lambda: plain(x, [matrix], dtype)[2], device
    )


def _module(name: str) -> Any:
    return import_module(f"nanokernels.{name}")  # importing Triton takes a second, and is of no use without a GPU
