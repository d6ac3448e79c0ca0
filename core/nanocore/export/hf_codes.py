"""Ternary codes as transformers' BitNet layers hold them: four rows in one, a quarter of the matrix apart.

Where 4 does not divide the rows the codes are float32 numbers: transformers tells the two by their shapes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nanocore.errors import FormatError

SHIFTS = (0, 2, 4, 6)


def pack_rows(codes: Tensor) -> Tensor:
    """codes + 1 of two bits each (rows / 4, columns) uint8, of int8 codes (rows, columns); or the codes as float32."""
    if len(codes) % 4:
        return codes.float()
    first, second, third, fourth = (codes + 1).to(torch.uint8).chunk(4)
    return first | second << 2 | third << 4 | fourth << 6


def packed_as(shape: tuple[int, ...]) -> tuple[torch.dtype, tuple[int, ...]]:
    """Type and shape of what `pack_rows` makes of a matrix."""
    rows, columns = shape
    return (torch.float32, shape) if rows % 4 else (torch.uint8, (rows // 4, columns))


def unpack_rows(packed: Tensor, *, where: str) -> Tensor:
    """int8 codes (rows, columns). Raises FormatError where one is none."""
    whole = packed.dtype == torch.uint8
    values = torch.cat([packed >> shift & 3 for shift in SHIFTS]).to(torch.int8) - 1 if whole else packed
    if not bool(((values == 0) | (values == 1) | (values == -1)).all()):
        raise FormatError("holds values that are not ternary codes", where=where)
    return values.to(torch.int8)
