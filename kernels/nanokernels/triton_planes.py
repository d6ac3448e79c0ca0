"""The packing that the GPU kernels read: four ternary codes in a byte, each from another quarter of the row.

The columns of a scale group are padded with code 0 to `4 * plane`, `plane` a multiple of 16 so that rows start where 16-byte
loads can. Byte j of the group holds columns j, j + plane, j + 2 plane and j + 3 plane: each of the four fields of a run of
bytes is a run of columns, an operand for the tensor cores after one AND. Without group scales the row is one group.

Field f < 3 holds code + 1 in bits 2f and 2f + 1; field 3 holds the code itself in two's complement. So with the byte read as
signed, byte & 3 = c0 + 1, byte & 12 = 4 (c1 + 1), byte & 48 = 16 (c2 + 1), byte & -64 = 64 c3: no shifts, which the GPU does
not have for bytes, and no value outside int8.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

FIELDS = 4
MULTIPLE = 16 * FIELDS  # the padded columns of a group are divisible by this


@dataclass(frozen=True)
class Planes:
    """A ternary matrix (rows, columns) packed for the GPU.

    `data` int8 (rows, groups * plane) holds the bytes; `scale` float32 is (groups, rows), or (1, 1) for one scale for all.
    """

    rows: int
    columns: int
    groups: int
    data: Tensor
    scale: Tensor

    @property
    def plane(self) -> int:
        """Bytes of one group in one row."""
        return self.data.shape[1] // self.groups

    @property
    def width(self) -> int:
        """True columns of one group."""
        return self.columns // self.groups

    @property
    def grouped(self) -> bool:
        """Whether each row and group has its own scale."""
        return self.scale.numel() > 1


def pack_planes(codes: Tensor, scale: Tensor) -> Planes:
    """Pack codes int8 (M, K) in {-1, 0, 1} with their scale float32, (1, 1) or (M, groups).

    Raises ValueError where the groups do not divide the columns or the scale has another shape.
    """
    rows, columns = codes.shape
    groups = scale.shape[1]
    if scale.shape not in ((1, 1), (rows, groups)) or columns % groups:
        raise ValueError(f"scale {tuple(scale.shape)} does not fit codes {tuple(codes.shape)}")
    fields = _fields(pad_groups(codes, groups), groups) & 3  # two's complement: 3, 0, 1
    data = fields[:, :, 3] << 6
    for field in range(FIELDS - 1):
        data |= ((fields[:, :, field] + 1) & 3) << 2 * field
    return Planes(rows, columns, groups, data.view(torch.int8).flatten(1), scale.float().mT.contiguous())


def pad_groups(codes: Tensor, groups: int) -> Tensor:
    """Codes (N, K) to uint8 or int8 (N, groups * 4 * plane): zeros behind each group, as the packed matrix has them."""
    grouped = codes.unflatten(1, (groups, -1))
    return F.pad(grouped, (0, -grouped.shape[-1] % MULTIPLE)).flatten(1).contiguous()


def plane_offsets(padded: Tensor, groups: int) -> Tensor:
    """What the + 1 in three of four fields adds to each sum: the padded token codes of those fields, summed.

    int8 (N, groups * 4 * plane) to int32 (N, groups).
    """
    return _fields(padded, groups)[:, :, : FIELDS - 1].sum(dim=(2, 3), dtype=torch.int32)


def _fields(padded: Tensor, groups: int) -> Tensor:
    """(N, groups * 4 * plane) as (N, groups, 4, plane)."""
    return padded.unflatten(1, (groups, FIELDS, -1))
