"""Rows of zeros behind those that are multiplied, where their number is another at each step.

For bfloat16 on a CPU oneDNN keeps a compiled product for each number of rows that it has seen: tiny-cpu with 4 experts
took 650 MiB more memory for it and 8 % more time (docs/techniques/mixture-of-experts.md).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

ROWS = 32


def unit(device: torch.device) -> int:
    """What numbers of rows are rounded up to in a forward pass on this device: 1 where each number may stay."""
    return ROWS if device.type == "cpu" and torch.is_autocast_enabled("cpu") else 1


def filled(rows: Tensor, to: int) -> Tensor:
    """(n, ...) with rows of zeros up to the next multiple of `to`."""
    return F.pad(rows, (*(0, 0) * (rows.dim() - 1), 0, -len(rows) % to))
