"""Ternary matrices as the kernels read them: 2 bits a weight (T2), or 5 weights a byte (T5).

`reference.py` says where each weight lies; here the same is done on torch tensors, fast.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nanokernels.reference import FIELDS, LANES, QUAD, Layout, block_rows

BASES: dict[Layout, int] = {"t2": 4, "t5": 3}
MAX_COLUMNS = 131072  # more, and a 32-bit sum could overflow


@dataclass(frozen=True, eq=False)
class PackedTernary:
    """A ternary matrix (rows, columns) in `layout`; two are equal only where they are the same object.

    `data` is uint8, 1-D, padded to whole blocks with weights of 0. `scale` is float32, (1, 1) for the whole matrix, or
    (groups, rows): each group of columns / groups columns of a row has its own.
    """

    layout: Layout
    rows: int
    columns: int
    data: Tensor
    scale: Tensor

    @property
    def groups(self) -> int:
        """Groups of columns that have sums of their own; 1 with one scale for the matrix."""
        return self.scale.shape[0]

    @property
    def block_rows(self) -> int:
        """Rows of one block: 64 or 80."""
        return block_rows(self.layout)

    @property
    def blocks(self) -> int:
        """Row blocks, the unit in which threads share the work."""
        return -(-self.rows // self.block_rows)

    @property
    def nbytes(self) -> int:
        """Bytes of weights and scales."""
        return self.data.nbytes + self.scale.nbytes


def pack(codes: Tensor, scale: Tensor, layout: Layout = "t2") -> PackedTernary:
    """Codes (M, K) int8 in -1, 0, 1 and their scale, (1, 1) or (M, groups) float32, packed; the scale is kept as it is.

    Raises ValueError for a shape that does not fit, more than 131,072 columns, or another code.
    """
    _check(codes, scale)
    rows, columns = codes.shape
    fields, base = FIELDS[layout], BASES[layout]
    right, bottom = -columns % QUAD, -rows % (fields * LANES)
    digits = torch.nn.functional.pad(codes + 1, (0, right, 0, bottom), value=1).to(torch.uint8)
    digits = digits.view(-1, fields, LANES, (columns + right) // QUAD, QUAD)  # (block, field, lane, line, j)
    packed = digits[:, fields - 1].clone()
    for field in reversed(range(fields - 1)):
        packed.mul_(base).add_(digits[:, field])  # below 256 at every step
    data = packed.transpose(1, 2).contiguous().view(-1)  # (block, line, lane, j)
    kept = torch.empty(scale.mT.shape, dtype=torch.float32).copy_(scale.mT)
    return PackedTernary(layout, rows, columns, data, kept)


def unpack(packed: PackedTernary) -> tuple[Tensor, Tensor]:
    """The codes (M, K) int8 and the scale that `pack` was given."""
    fields, base = FIELDS[packed.layout], BASES[packed.layout]
    lines = packed.data.view(packed.blocks, -1, LANES, QUAD).transpose(1, 2)  # (block, lane, line, j)
    digits = torch.stack([lines // base**field % base for field in range(fields)], dim=1)
    codes = digits.to(torch.int8).sub_(1).view(packed.blocks * packed.block_rows, -1)
    return codes[: packed.rows, : packed.columns].contiguous(), packed.scale.mT.contiguous()


def _check(codes: Tensor, scale: Tensor) -> None:
    if codes.ndim != 2 or codes.dtype != torch.int8 or 0 in codes.shape:
        raise ValueError(f"codes: a non-empty int8 matrix is needed, got {codes.dtype} {tuple(codes.shape)}")
    rows, columns = codes.shape
    if columns > MAX_COLUMNS:
        raise ValueError(f"{columns} columns: sums are exact up to {MAX_COLUMNS}")
    if scale.ndim != 2 or (scale.shape != (1, 1) and scale.shape[0] != rows) or scale.shape[1] == 0:
        raise ValueError(f"scale: (1, 1) or ({rows}, groups) is needed, got {tuple(scale.shape)}")
    groups = scale.shape[1]
    if groups > 1 and columns % (groups * QUAD):
        raise ValueError(f"{groups} groups of {columns} columns: each must be a multiple of {QUAD} wide")
    if bool(((codes < -1) | (codes > 1)).any()):
        raise ValueError("codes: only -1, 0 and 1 are ternary")
