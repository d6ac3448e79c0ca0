"""What the ternary weights do in training: how many are zero, how many changed, how large they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nanocore.model.bitlinear import TernaryModule


@dataclass(frozen=True)
class TernaryReport:
    """`summary` holds metrics by name, over all ternary weights; `layers` one record for each matrix."""

    summary: dict[str, float]
    layers: list[dict[str, Any]]


class TernaryProbe:
    """Measures a model's ternary matrices; between measurements it keeps their codes (1 byte a weight), no more.

    `names` are the matrices' parameter names; a float model has none.
    """

    def __init__(self, model: nn.Module) -> None:
        modules = model.named_modules()
        self._matrices = {f"{name}.weight": module for name, module in modules if isinstance(module, TernaryModule)}
        self._before: dict[str, Tensor] = {}

    @property
    def names(self) -> list[str]:
        return list(self._matrices)

    @torch.no_grad()
    def measure(self) -> TernaryReport:
        """Zero fraction and mean scale now, flip fraction since the last call (absent in the first)."""
        rows = [self._row(name, matrix) for name, matrix in self._matrices.items()]
        sizes = [matrix.weight.numel() for matrix in self._matrices.values()]
        summary = {}
        for key in ("zero_fraction", "flip_fraction"):
            if rows and all(key in row for row in rows):
                total = sum(row[key] * size for row, size in zip(rows, sizes, strict=True))
                summary[f"ternary/{key}"] = total / sum(sizes)
        return TernaryReport(summary, rows)

    def _row(self, name: str, matrix: TernaryModule) -> dict[str, Any]:
        codes, scale = matrix.ternary()
        before = self._before.get(name)
        self._before[name] = codes
        row = {"kind": "ternary", "name": name, "zero_fraction": _share(codes == 0), "scale": float(scale.mean())}
        if before is not None:
            row["flip_fraction"] = _share(codes != before)
        return row


def _share(mask: Tensor) -> float:
    return int(mask.count_nonzero()) / mask.numel()
