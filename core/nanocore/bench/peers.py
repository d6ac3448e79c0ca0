"""What torch has for the same product: floats, its int8 product, and our path for machines without a compiler."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, islice
from typing import TypeVar

import torch
from torch import Tensor

from nanocore.bench.matrices import Matrices, Tokens
from nanocore.bench.race import Contestant
from nanokernels import fallback
from nanokernels.packing import PackedTernary

Weight = TypeVar("Weight")
BFLOAT16_TOLERANCE = 2**-6  # relative; results are rounded to 8 bits


class _Product:
    """`multiply` of one weight after another; `last` is its latest result."""

    def __init__(self, multiply: Callable[[Weight], Tensor], weights: Sequence[Weight]) -> None:
        self._multiply, self._weights, self.last = multiply, cycle(weights), torch.empty(0)

    def __call__(self, visits: int) -> None:
        for weight in islice(self._weights, visits):
            self.last = self._multiply(weight)


def fallback_path(tokens: Tokens, matrices: Sequence[PackedTernary], operations: int) -> Contestant:
    """Our torch path, with its quantiser and scales."""
    product = _Product(lambda packed: fallback.ternary_linear(tokens.x, packed), matrices)
    check = _check(product, tokens, tokens.y, "our torch path")
    return Contestant(product, operations, check, openmp=True)


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
