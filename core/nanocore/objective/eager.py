"""Losses whose gradients are taken at once, so that nothing inside them waits for the backward pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Part = Callable[[Tensor], Tensor]  # from a hidden state to the next one, or to a scalar loss
Found = tuple[Tensor, list[Tensor | None]]  # a sum of losses; its gradients by the hidden state and each parameter


def eager_sum(losses: Sequence[Part], hidden: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    """The sum of scalar losses of `hidden`; each one's gradients are computed and its graph freed before the next.

    What stays until backward is one tensor of the size of `hidden` and of each parameter, however many losses.
    """
    return _Eager.apply(partial(_apart, losses), hidden, *parameters)


def eager_chain(links: Sequence[Part], losses: Sequence[Part], hidden: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    """The sum of losses[k](h_k), where h_k = links[k](h_{k-1}) and the first link reads `hidden`.

    What stays until backward is as with `eager_sum`. Before, the inner tensors of all links are there together; losses
    and gradients come one at a time, from the last link to the first, and free them.
    """
    return _Eager.apply(partial(_linked, links, losses), hidden, *parameters)


class _Eager(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, find: Callable[[Tensor, Sequence[Tensor]], Found], hidden: Tensor, *parameters: Tensor
    ) -> Tensor:
        total, gradients = find(hidden, parameters)
        ctx.save_for_backward(*gradients)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        scale = gradients[0]
        return None, *(None if each is None else each * scale.to(each.dtype) for each in ctx.saved_tensors)


def _apart(losses: Sequence[Part], hidden: Tensor, parameters: Sequence[Tensor]) -> Found:
    leaf = hidden.detach().requires_grad_()
    total = hidden.new_zeros((), dtype=torch.promote_types(hidden.dtype, torch.float32))
    sums: list[Tensor | None] = [None] * (1 + len(parameters))
    for loss in losses:
        with torch.enable_grad():
            value = loss(leaf)
        sums = _added(sums, _gradients(value, leaf, parameters))
        total += value.detach()
    return total, sums


def _linked(links: Sequence[Part], losses: Sequence[Part], hidden: Tensor, parameters: Sequence[Tensor]) -> Found:
    before: list[Tensor] = []
    after, values = [hidden], list[Tensor]()
    for link in links:
        before.append(after[-1].detach().requires_grad_())
        with torch.enable_grad():
            after.append(link(before[-1]))
    sums: list[Tensor | None] = [None] * (1 + len(parameters))
    for loss in reversed(losses):  # the order in which one backward pass through the chain would add them up
        state = after.pop()
        leaf = state.detach().requires_grad_()
        with torch.enable_grad():
            value = loss(leaf)
        d_state, *sums = _added(sums, _gradients(value, leaf, parameters))
        sums = _added([None, *sums], _gradients(state, before.pop(), parameters, d_state))
        values.append(value.detach())
    return torch.stack(values[::-1]).sum(), sums


def _gradients(
    value: Tensor, leaf: Tensor, parameters: Sequence[Tensor], d_value: Tensor | None = None
) -> tuple[Tensor | None, ...]:
    """Gradients by the leaf and each parameter; the graph of `value` is freed."""
    with torch.autocast(leaf.device.type, enabled=False):  # as in any backward pass
        return torch.autograd.grad(value, (leaf, *parameters), d_value, allow_unused=True)


def _added(totals: Sequence[Tensor | None], new: Sequence[Tensor | None]) -> list[Tensor | None]:
    return [_add(mine, other) for mine, other in zip(totals, new, strict=True)]


def _add(total: Tensor | None, new: Tensor | None) -> Tensor | None:
    if total is None or new is None:
        return total if new is None else new
    return total + new
