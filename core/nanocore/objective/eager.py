"""Losses whose gradients are taken at once, so that nothing inside them waits for the backward pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def eager_sum(losses: Sequence[Callable[[Tensor], Tensor]], hidden: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    """The sum of scalar losses of `hidden`; each one's gradients are computed and its graph freed before the next.

    What stays until backward is one tensor of the size of `hidden` and of each parameter, however many losses.
    """
    return _EagerSum.apply(losses, hidden, *parameters)


class _EagerSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, losses: Sequence[Callable[[Tensor], Tensor]], hidden: Tensor, *parameters: Tensor) -> Tensor:
        leaf = hidden.detach().requires_grad_()
        total = hidden.new_zeros((), dtype=torch.promote_types(hidden.dtype, torch.float32))
        sums: list[Tensor | None] = [None] * (1 + len(parameters))
        for loss in losses:
            with torch.enable_grad():
                value = loss(leaf)
            with torch.autocast(hidden.device.type, enabled=False):  # as in any backward pass
                gradients = torch.autograd.grad(value, (leaf, *parameters), allow_unused=True)
            sums = [_add(mine, new) for mine, new in zip(sums, gradients, strict=True)]
            total += value.detach()
        ctx.save_for_backward(*sums)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        scale = gradients[0]
        return None, *(None if each is None else each * scale.to(each.dtype) for each in ctx.saved_tensors)


def _add(total: Tensor | None, new: Tensor | None) -> Tensor | None:
    if total is None or new is None:
        return total if new is None else new
    return total + new
