"""The backward pass on kept tokens only (Collider / Centrifuge, arXiv 2502.00340).

The forward pass is the usual one. Which tokens are kept is known when their losses are; from then on the products of the
backward pass with weight matrices and in attention run on their rows. Products that read, write and mix several
residual streams run on all tokens, as norms and activations do. The residual stream carries no gradient at dropped
tokens once attention stops sending it there: keys and values of dropped tokens get none. What comes out is, exactly,
the gradient of the filtered loss with K and V of dropped tokens detached in every layer.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from nanocore.model.filled_rows import filled, unit


class KeptRows:
    """Which tokens of the micro-batch in work have a backward pass; shared by all layers of a model.

    `mask` (B, T) is set after the loss of each token is known and before backward; None is all tokens.
    """

    def __init__(self) -> None:
        self.mask: Tensor | None = None
        self.rows: Tensor | None = None  # numbers of the kept ones among the B T tokens
        self.columns: Tensor | None = None  # the same by sequence, (B, most kept in one), -1 filling up
        self._unit = 1  # numbers of rows are filled up to a multiple of it

    def keep(self, mask: Tensor | None) -> None:
        """To be called in the forward pass, whose autocast says how the backward pass multiplies."""
        self.mask = mask
        self._unit = 1 if mask is None else unit(mask.device)
        self.rows = None if mask is None else mask.flatten().nonzero().squeeze(1)
        self.columns = None if mask is None else _columns(mask, self._unit)

    def gather(self, tensor: Tensor) -> Tensor:
        """The kept tokens' rows (K, ...) of (B T, ...), and of zeros behind them; all while nothing is dropped."""
        return tensor if self.rows is None else filled(tensor.index_select(0, self.rows), self._unit)

    def scatter(self, kept: Tensor) -> Tensor:
        """Rows of the kept tokens (K, ...) at their places among zeros (B T, ...)."""
        if self.mask is None or self.rows is None:
            return kept
        found = kept.new_zeros((self.mask.numel(), *kept.shape[1:]))
        return found.index_copy_(0, self.rows, kept[: len(self.rows)])


EVERY_ROW = KeptRows()  # never changed


@runtime_checkable
class Filtered(Protocol):
    """A part of a model whose backward pass can leave out tokens."""

    kept_rows: KeptRows | None


def share_kept_rows(*parts: nn.Module | None) -> KeptRows:
    """One KeptRows for all matrices and attentions of these parts."""
    kept = KeptRows()
    for module in (module for part in parts if part is not None for module in part.modules()):
        if isinstance(module, Filtered):
            module.kept_rows = kept
    return kept


def _columns(mask: Tensor, unit: int) -> Tensor:
    """Positions of the True entries of each row (B, T), in order, filled up with -1 to a multiple of `unit` or to T."""
    most = -(-int(mask.sum(dim=1).max()) // unit) * unit
    places = torch.arange(mask.shape[1], device=mask.device).expand_as(mask)
    ordered = places.masked_fill(~mask, mask.shape[1]).sort(dim=1).values[:, :most]
    return ordered.masked_fill(ordered == mask.shape[1], -1)


def filtered_linear(x: Tensor, weight: Tensor, kept: KeptRows) -> Tensor:
    """x (B, T, in) times a float matrix (out, in) transposed, whose backward is that of the kept tokens."""
    if torch.is_autocast_enabled(x.device.type):
        dtype = torch.get_autocast_dtype(x.device.type)
        x, weight = x.to(dtype), weight.to(dtype)
    return _FilteredLinear.apply(x, weight, kept)


class _FilteredLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, kept: KeptRows) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.kept = kept
        return F.linear(x, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_output: Tensor) -> tuple[Tensor, Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, weight = ctx.saved_tensors
        kept: KeptRows = ctx.kept
        rows = kept.gather(d_output.flatten(0, -2))
        d_x = kept.scatter(rows @ weight).view(x.shape)
        return d_x, rows.mT @ kept.gather(x.flatten(0, -2)), None


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, kept: KeptRows) -> Tensor:
    """Causal (mask None) or masked attention, (B, H, T, D), whose backward is that of the kept tokens."""
    return _FilteredAttention.apply(query, key, value, mask, kept)


class _FilteredAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, kept: KeptRows) -> Tensor:
        ctx.save_for_backward(query, key, value, mask)
        ctx.kept = kept
        return _attention(query, key, value, mask, causal=mask is None)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_output: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        query, key, value, mask = ctx.saved_tensors
        kept: KeptRows = ctx.kept
        if kept.mask is None or kept.columns is None:
            return *_gradients(query, key, value, mask, d_output, causal=mask is None), None, None
        padding = kept.columns < 0  # (B, K)
        index = kept.columns.clamp(min=0)
        places = index[:, None, :, None].expand(-1, query.shape[1], -1, query.shape[3])
        seen = _seen(mask, index, query.shape[2])  # (B, 1, K, T)
        d_kept = d_output.gather(2, places).masked_fill(padding[:, None, :, None], 0.0)
        d_rows, d_key, d_value = _gradients(query.gather(2, places), key, value, seen, d_kept, causal=False)
        d_query = torch.zeros_like(query).scatter_add_(2, places, d_rows)
        dropped = ~kept.mask[:, None, :, None]
        return d_query, d_key.masked_fill_(dropped, 0.0), d_value.masked_fill_(dropped, 0.0), None, None


def _seen(mask: Tensor | None, rows: Tensor, length: int) -> Tensor:
    """Which tokens the chosen rows (B, K) see, (B, 1, K, T)."""
    if mask is None:
        return (torch.arange(length, device=rows.device) <= rows[:, :, None]).unsqueeze(1)
    batch = torch.arange(rows.shape[0], device=rows.device)[:, None]
    return mask.expand(rows.shape[0], 1, length, length)[batch, 0, rows].unsqueeze(1)


def _attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, *, causal: bool) -> Tensor:
    grouped = query.shape[1] != key.shape[1]
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=causal, enable_gqa=grouped)


def _gradients(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, d_output: Tensor, *, causal: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients by query, key and value; the attention weights are computed again, on these queries alone."""
    with torch.enable_grad():
        query, key, value = (tensor.detach().requires_grad_() for tensor in (query, key, value))
        output = _attention(query, key, value, mask, causal=causal)
    d_query, d_key, d_value = torch.autograd.grad(output, (query, key, value), d_output)
    return d_query, d_key, d_value
