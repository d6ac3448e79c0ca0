"""One rank's share of a global batch, as tensors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nanocore.data.batch import Batch


@dataclass(frozen=True)
class MicroBatch:
    """Rows of one rank's micro-batch as tensors (b, T); `documents` is None when no row has a border.

    `rows` (b,) are the rows' numbers in the global batch.
    """

    tokens: Tensor
    targets: Tensor
    positions: Tensor
    documents: Tensor | None
    rows: np.ndarray


def micro_batches(batch: Batch, *, rank: int, world: int, accumulation: int, device: torch.device) -> list[MicroBatch]:
    """Rows rank::world of the global batch, in `accumulation` parts.

    The global batch is the same for every number of processes, so a run may continue on another.
    """
    rows = np.arange(rank, batch.tokens.shape[0], world)
    parts = [part for part in np.array_split(rows, accumulation) if len(part)]
    return [_to_tensors(batch, part, device) for part in parts]


def _to_tensors(batch: Batch, rows: np.ndarray, device: torch.device) -> MicroBatch:
    def tensor(values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values[rows])).to(device, torch.long, non_blocking=True)

    documents = batch.documents[rows]
    borders = bool((documents != documents[:, :1]).any())
    return MicroBatch(
        tensor(batch.tokens),
        tensor(batch.targets),
        tensor(batch.positions),
        tensor(batch.documents) if borders else None,
        rows,
    )
