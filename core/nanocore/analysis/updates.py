"""What one optimizer step does to each matrix: the size of its gradient, and of its update beside the matrix itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from nanocore.model.roles import Role

MOST_ENTRIES = (
    1 << 16
)  # of a matrix whose change is measured: the ratio is then known to about 1 %, at 256 KiB a matrix
MEASURED: tuple[Role, ...] = ("embedding", "head", "matrix")


class UpdateProbe:
    """Measures the matrices of a model over one optimizer step; between measurements it keeps nothing.

    Call `before` ahead of the step and `after` behind it, while the gradients are still there. It reads weights and
    gradients and writes neither.
    """

    def __init__(self, model: nn.Module, roles: Mapping[str, Role]) -> None:
        named = model.named_parameters()
        self._matrices = {name: parameter for name, parameter in named if roles[name] in MEASURED}
        self._before: dict[str, Tensor] = {}

    def before(self) -> None:
        """Remember the entries that will be compared."""
        self._before = {name: sample(matrix).clone() for name, matrix in self._matrices.items()}

    def after(self, clipped: float) -> list[dict[str, Any]]:
        """One record a matrix. `clipped` is what clipping multiplied the gradients by.

        `gradient_norm` is the L2 norm before clipping, absent without a gradient; `update_ratio` the rms of the change
        over the rms of the weights before it, nan where those were all zero.
        """
        trained = {name: matrix for name, matrix in self._matrices.items() if matrix.grad is not None}
        norms = dict(zip(trained, _norms([matrix.grad for matrix in trained.values()]), strict=True))
        changes = _norms([sample(self._matrices[name]) - old for name, old in self._before.items()])
        sizes = _norms(list(self._before.values()))
        ratios = {
            name: change / size if size else math.nan
            for name, change, size in zip(self._before, changes, sizes, strict=True)
        }
        self._before = {}
        return [_row(name, norms.get(name), clipped, ratio) for name, ratio in ratios.items()]


def _row(name: str, norm: float | None, clipped: float, ratio: float) -> dict[str, Any]:
    gradient = {} if norm is None else {"gradient_norm": norm / clipped if clipped else math.nan}
    return {"kind": "matrix", "name": name, **gradient, "update_ratio": ratio}


def sample(matrix: Tensor) -> Tensor:
    """At most 65536 evenly spaced entries, all of a smaller matrix. The stride shares no factor with a row's length,
    so that all columns take part."""
    flat = matrix.detach().flatten()
    stride = math.ceil(flat.numel() / MOST_ENTRIES)
    while math.gcd(stride, matrix.shape[-1]) > 1:
        stride += 1
    return flat[::stride]


@torch.no_grad()
def _norms(tensors: Sequence[Tensor | None]) -> list[float]:
    """L2 norms in float32, brought from the device together."""
    found = [tensor for tensor in tensors if tensor is not None]
    if not found:
        return []
    return torch.stack([torch.linalg.vector_norm(tensor, dtype=torch.float32) for tensor in found]).tolist()


def clip_factor(norm: float, limit: float) -> float:
    """What clipping to a norm of `limit` (0: never) multiplied the gradients by, as torch does it."""
    return min(1.0, limit / (norm + 1e-6)) if limit > 0.0 else 1.0
