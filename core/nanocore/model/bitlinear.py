"""BitLinear: a linear map whose weights are ternary and whose inputs are 8-bit codes, trained straight through.

BitNet b1.58 (arXiv 2402.17764). Forward multiplies whole numbers and applies the scales to the sums. Backward takes the
quantisers for the identity: dX = dY Wq and dW = dY^T Xq, with the dequantised Wq and Xq and no clip mask.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from nanocore.config.schema import Config
from nanocore.model.quantize import TernaryWeight, TokenCodes, ternary_weight, token_codes
from nanokernels.int_matmul import int_matmul


class FloatLinear(nn.Linear):
    """nn.Linear without bias that leaves its memory as it is: Transformer.initialise or a checkpoint fills it."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features, bias=False)

    def reset_parameters(self) -> None:
        """Draw nothing: torch's own values would be thrown away, and building on `meta` would import its compiler."""


class BitLinear(FloatLinear):
    """`weight` (out, in) is the latent matrix that the optimizer moves; what multiplies is its ternary form.

    `group_size` input columns of a row share one scale; 0 gives the whole matrix one. There is no bias.
    """

    def __init__(self, in_features: int, out_features: int, group_size: int = 0) -> None:
        super().__init__(in_features, out_features)
        self.group_size = group_size
        self._frozen: TernaryWeight | None = None

    def ternary(self) -> TernaryWeight:
        """Codes and scales of the weight as it is now, or as it was when `frozen` began."""
        with torch.no_grad():
            return self._frozen or ternary_weight(self.weight, self.group_size)

    def forward(self, input: Tensor) -> Tensor:
        """(..., in) to (..., out), in the dtype of the input, or autocast's where that is on."""
        return project(input, (self,))[0]


def make_linear(config: Config, in_features: int, out_features: int) -> FloatLinear:
    """A ternary matrix, or its float twin for `model.linear = "float"`: the same parameter, initialised alike."""
    if config.model.linear == "ternary":
        return BitLinear(in_features, out_features, config.model.group_size)
    return FloatLinear(in_features, out_features)


def project(x: Tensor, linears: Sequence[FloatLinear]) -> tuple[Tensor, ...]:
    """The outputs of several linears of one kind that read the same x: a ternary input is quantised once for all."""
    ternary = [(linear.weight, *linear.ternary()) for linear in linears if isinstance(linear, BitLinear)]
    if not ternary:
        return tuple(linear(x) for linear in linears)
    return _TernaryProducts.apply(x, *chain.from_iterable(ternary))


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Weights do not change inside this block: each BitLinear is quantised once instead of at every call."""
    layers = [module for module in model.modules() if isinstance(module, BitLinear)]
    for layer in layers:
        layer._frozen = layer.ternary()
    try:
        yield
    finally:
        for layer in layers:
            layer._frozen = None


class _TernaryProducts(torch.autograd.Function):
    """Products of one input with several matrices, each given as latent weight, codes and scale.

    Keeps codes (1 byte a value) for backward, no floats.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, *parts: Tensor) -> tuple[Tensor, ...]:
        device, shape = x.device.type, x.shape[:-1]
        matrices = [TernaryWeight(*pair) for pair in zip(parts[1::3], parts[2::3], strict=True)]
        autocast = torch.is_autocast_enabled(device)
        dtype = torch.get_autocast_dtype(device) if autocast else x.dtype
        with torch.autocast(device, enabled=False):
            tokens = token_codes(x.flatten(0, -2))
            outputs = tuple(scaled_product(tokens, matrix, dtype).unflatten(0, shape) for matrix in matrices)
        ctx.input_shape, ctx.input_dtype, ctx.weight_dtype = x.shape, x.dtype, parts[0].dtype
        ctx.save_for_backward(tokens.codes.to(torch.int8), tokens.scale, *chain.from_iterable(matrices))
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *d_outputs: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        codes, scale, *parts = ctx.saved_tensors
        d_rows = [d_output.flatten(0, -2) for d_output in d_outputs]  # (N, out) each
        d_x: Tensor | None = None
        if ctx.needs_input_grad[0]:
            matrices = [TernaryWeight(*pair) for pair in zip(parts[::2], parts[1::2], strict=True)]
            d_x = _sum_of_products(d_rows, [matrix.dequantise() for matrix in matrices])
            d_x = d_x.view(ctx.input_shape).to(ctx.input_dtype)
        wide = torch.promote_types(d_rows[0].dtype, torch.float32)
        x_q = codes.to(wide).mul_(scale).to(d_rows[0].dtype)  # (N, in)
        d_weights = [
            (rows.mT @ x_q).to(ctx.weight_dtype) if needed else None
            for rows, needed in zip(d_rows, ctx.needs_input_grad[1::3], strict=True)
        ]
        return d_x, *chain.from_iterable((d_weight, None, None) for d_weight in d_weights)


def scaled_product(tokens: TokenCodes, matrix: TernaryWeight, dtype: torch.dtype) -> Tensor:
    """Xq Wq^T (N, out): exact sums of products of codes, one for each scale group, then the scales."""
    groups = matrix.scale.shape[1]
    columns = matrix.codes.shape[1] // groups
    wide = torch.promote_types(dtype, torch.float32)
    scale = matrix.scale.to(wide)
    total: Tensor | None = None
    for group in range(groups):
        part = slice(group * columns, (group + 1) * columns)
        sums = int_matmul(tokens.codes[:, part], matrix.codes[:, part]).to(wide)  # (N, out)
        total = sums.mul_(scale[:, group]) if total is None else total.addcmul_(sums, scale[:, group])
    assert total is not None
    return total.mul_(tokens.scale).to(dtype)


def _sum_of_products(rows: Sequence[Tensor], matrices: Sequence[Tensor]) -> Tensor:
    """Sum over i of rows[i] (N, out_i) times matrices[i] (out_i, in): (N, in)."""
    total = rows[0] @ matrices[0].to(rows[0].dtype)
    for row, matrix in zip(rows[1:], matrices[1:], strict=True):
        total.addmm_(row, matrix.to(row.dtype))
    return total
