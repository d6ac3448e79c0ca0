"""One random ternary matrix and some tokens, in every form in which a contestant takes them, with the exact result."""

from __future__ import annotations

import torch
from torch import Tensor

from nanocore.bench.limits import natives
from nanocore.errors import NanoError
from nanokernels import ops
from nanokernels.int_matmul import float_matmul
from nanokernels.packing import Layout, PackedTernary, pack
from nanokernels.plain import token_codes

LAYOUTS: tuple[Layout, ...] = ("t2", "t5")
WEIGHT_SCALE = 0.37


class Matrices:
    """Copies of a matrix (rows, columns); together those of one form exceed `memory` bytes, where that is not 0.

    The native forms are written by `threads` threads.
    """

    def __init__(self, rows: int, columns: int, memory: int, threads: int) -> None:
        self.rows, self.columns, self._memory = rows, columns, memory
        generator = torch.Generator().manual_seed(0)
        self.codes = torch.randint(-1, 2, (rows, columns), generator=generator, dtype=torch.int8)
        scale = torch.full((1, 1), WEIGHT_SCALE)
        layouts = LAYOUTS if natives() else ()
        packed: dict[Layout, PackedTernary] = {layout: pack(self.codes, scale, layout) for layout in layouts}
        self.packed: dict[Layout, list[PackedTernary]] = {
            layout: [ops.place(each, threads) for _ in range(self.copies(each.data.nbytes))]
            for layout, each in packed.items()
        }
        self._plain: dict[torch.dtype, list[Tensor]] = {}

    def weights(self, dtype: torch.dtype) -> list[Tensor]:
        """Plain matrices of whole numbers, as torch multiplies them."""
        if dtype not in self._plain:
            count = self.copies(self.codes.numel() * dtype.itemsize)
            self._plain[dtype] = [self.codes.to(dtype, copy=True) for _ in range(count)]
        return self._plain[dtype]

    def copies(self, size: int) -> int:
        """How many copies of `size` bytes exceed the memory that was asked for."""
        return max(1, -(-self._memory // size))


class Tokens:
    """Some tokens (N, K), their codes, and what their product with the matrix is: exactly, whoever computes it."""

    def __init__(self, matrices: Matrices, count: int) -> None:
        self.x = torch.randn(count, matrices.columns, generator=torch.Generator().manual_seed(count))
        codes, scale = token_codes(self.x)
        self.codes = codes.to(torch.int8)
        self.sums = float_matmul(self.codes, matrices.codes)  # (N, M), whole numbers that float32 holds
        self.y = self.sums * WEIGHT_SCALE * scale

    def check(self, found: Tensor, expected: Tensor, name: str, tolerance: float = 0.0) -> None:
        """Raise NanoError where a result is not the exact one, or further from it than `tolerance` of its norm."""
        difference = float((found.double() - expected.double()).norm() / expected.double().norm())
        if not difference <= tolerance:
            tokens, columns = self.x.shape
            where = f"{name}, {expected.shape[1]} x {columns}, {tokens} tokens"
            raise NanoError(f"the result is wrong by {difference:.1e}, {tolerance:.0e} is allowed", where=where)
