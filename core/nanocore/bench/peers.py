"""What torch has for the same product: floats, its int8 product, and our path for machines without a compiler."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, islice
from typing import TypeVar

import torch
from torch import Tensor

from nanocore.bench.matrices import WEIGHT_SCALE, Matrices, Tokens
from nanocore.bench.race import Contestant
from nanocore.model.ternary_products import plain_products

Weight = TypeVar("Weight")
BFLOAT16_TOLERANCE = 2**-6  # relative; results are rounded to 8 bits


class _Product:
    """`multiply` of one weight after another; `last` is its latest result."""

    def __init__(self, multiply: Callable[[Weight], Tensor], weights: Sequence[Weight]) -> None:
        self._multiply, self._weights, self.last = multiply, cycle(weights), torch.empty(0)

    def __call__(self, visits: int) -> None:
        for weight in islice(self._weights, visits):
            self.last = self._multiply(weight)


def without_kernels(tokens: Tokens, matrices: Matrices, operations: int, keep: slice) -> Contestant:
    """What runs without a compiler: training's forward in torch, with its quantiser and scales."""
    scale = torch.full((1, 1), WEIGHT_SCALE)
    product = _Product(
        lambda weight: plain_products(tokens.x, [(weight, scale)], torch.float32)[2][0],
        matrices.weights(torch.int8)[keep],
    )
    return Contestant(product, operations, _check(product, tokens, tokens.y, "our torch path"), openmp=True)


def peers(tokens: Tokens, matrices: Matrices, operations: int, keep: slice) -> Iterator[tuple[str, str, Contestant]]:
    """torch's products of the token codes with the plain matrix: no quantiser, no scales."""
    for dtype, tolerance in ((torch.float32, 0.0), (torch.bfloat16, BFLOAT16_TOLERANCE)):
        x, name = tokens.codes.to(dtype), str(dtype).removeprefix("torch.")
        product = _Product(lambda weight, x=x: torch.nn.functional.linear(x, weight), matrices.weights(dtype)[keep])
        check = _check(product, tokens, tokens.sums, f"torch linear {name}", tolerance)
        yield "linear", name, Contestant(product, operations, check, openmp=True)
    multiply = torch._int_mm  # pyright: ignore[reportPrivateImportUsage]
    product = _Product(lambda weight: multiply(tokens.codes, weight.mT), matrices.weights(torch.int8)[keep])
    yield (
        "_int_mm",
        "int8",
        Contestant(product, operations, _check(product, tokens, tokens.sums, "_int_mm"), openmp=True),
    )


def _check(
    product: _Product, tokens: Tokens, expected: Tensor, name: str, tolerance: float = 0.0
) -> Callable[[], None]:
    return lambda: tokens.check(product.last, expected, name, tolerance)
