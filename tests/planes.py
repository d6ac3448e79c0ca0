"""The GPU's packing read back, which no kernel needs."""

from __future__ import annotations

import torch
from torch import Tensor

from nanokernels.triton_planes import FIELDS, Planes


def unpack_planes(planes: Planes) -> tuple[Tensor, Tensor]:
    """The codes int8 (M, K) and the scale as `pack_planes` took them."""
    data = planes.data.view(torch.uint8).unflatten(1, (planes.groups, planes.plane))
    fields = [((data >> 2 * field) & 3).to(torch.int8) - 1 for field in range(FIELDS - 1)]
    fields.append((data.view(torch.int8) >> 6).to(torch.int8))
    grouped = torch.cat(fields, dim=-1)[:, :, : planes.width]  # (M, groups, width)
    return grouped.flatten(1), planes.scale.mT.contiguous()
