"""BitLinear: a linear map whose weights are ternary and whose inputs are 8-bit codes, trained straight through.

BitNet b1.58 (arXiv 2402.17764). Forward multiplies whole numbers and applies the scales to the sums. Backward takes the
quantisers for the identity: dX = dY Wq and dW = dY^T Xq, with the dequantised Wq and Xq and no clip mask.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from nanocore.config.schema import Config
from nanocore.model.fp4_study import Fp4Study, fp4_linear, make_study
from nanocore.model.kept_rows import EVERY_ROW, KeptRows, filtered_linear
from nanocore.model.quantize import TernaryWeight, TokenCodes, ternary_weight, token_codes
from nanokernels import training, training_gpu
from nanokernels.int_matmul import int_matmul


class Operand(NamedTuple):
    """A matrix as `multiply` takes it: the latent weight (out, in) that gets the gradient, and what stands for it.

    Without `ternary` the weight itself multiplies. `fp4` is what a study does to the operands of its matmuls, `kept`
    knows the tokens that have a backward pass.
    """

    weight: Tensor
    ternary: TernaryWeight | None
    fp4: Fp4Study | None
    kept: KeptRows | None = None


class FloatLinear(nn.Linear):
    """nn.Linear without bias that leaves its memory as it is: Transformer.initialise or a checkpoint fills it."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features, bias=False)
        self.fp4: Fp4Study | None = None
        self.kept_rows: KeptRows | None = None

    def reset_parameters(self) -> None:
        """Draw nothing: torch's own values would be thrown away, and building on `meta` would import its compiler."""

    def operand(self) -> Operand:
        """The matrix as it multiplies now."""
        return Operand(self.weight, None, self.fp4, self.kept_rows)

    def forward(self, input: Tensor) -> Tensor:
        """(..., in) to (..., out), in the dtype of the input, or autocast's where that is on."""
        return project(input, (self,))[0]


class TernaryModule(nn.Module):
    """What `weight` multiplies as in its ternary form: `quantise` says how, `frozen` may hold the result for a while.

    After `settle` there is no latent weight any more: the module is its `codes` and `scale`, and cannot learn.
    """

    weight: Tensor
    codes: Tensor
    scale: Tensor
    settled = False
    _frozen: TernaryWeight | None = None

    @property
    def ternary_shape(self) -> torch.Size:
        """Shape of the codes, (out, in) or (E, out, in)."""
        return self.codes.shape if self.settled else self.weight.shape

    def ternary(self) -> TernaryWeight:
        """Codes and scales of the weight as it is now, as it was when `frozen` began, or as settled."""
        if self.settled:
            return TernaryWeight(self.codes, self.scale)
        with torch.no_grad():
            return self._frozen or self.quantise()

    def settle(self, ternary: TernaryWeight) -> None:
        """Become these codes and scales, as a file holds them: quantising them again would give other scales."""
        rows = self.weight.shape[:-1]  # a weight without columns keeps dtype and number of matrices, and no memory
        self.weight = nn.Parameter(torch.empty((*rows, 0), dtype=self.weight.dtype), requires_grad=False)
        self.register_buffer("codes", ternary.codes)
        self.register_buffer("scale", ternary.scale)
        self.settled = True

    def quantise(self) -> TernaryWeight:
        """Codes and scales of the weight as it is now."""
        raise NotImplementedError


class BitLinear(TernaryModule, FloatLinear):
    """`weight` (out, in) is the latent matrix that the optimizer moves; what multiplies is its ternary form.

    `group_size` input columns of a row share one scale; 0 gives the whole matrix one. There is no bias.
    """

    def __init__(self, in_features: int, out_features: int, group_size: int = 0) -> None:
        super().__init__(in_features, out_features)
        self.group_size = group_size

    def quantise(self) -> TernaryWeight:
        """Codes and scales of the weight as it is now."""
        return ternary_weight(self.weight, self.group_size)

    def operand(self) -> Operand:
        """The matrix as it multiplies now."""
        return Operand(self.weight, self.ternary(), self.fp4, self.kept_rows)


def make_linear(config: Config, in_features: int, out_features: int) -> FloatLinear:
    """A ternary matrix, or its float twin for `model.linear = "float"`: the same parameter, initialised alike."""
    ternary = config.model.linear == "ternary"
    linear = BitLinear(in_features, out_features, config.model.group_size) if ternary else None
    linear = linear or FloatLinear(in_features, out_features)
    linear.fp4 = make_study(config)
    return linear


def project(x: Tensor, linears: Sequence[FloatLinear]) -> tuple[Tensor, ...]:
    """The outputs of several linears of one kind that read the same x: a ternary input is quantised once for all."""
    return multiply(x, [linear.operand() for linear in linears])


def multiply(x: Tensor, operands: Sequence[Operand]) -> tuple[Tensor, ...]:
    """x (..., in) times each matrix transposed, (..., out); the matrices are all ternary, or all float."""
    ternary = [(operand.weight, *operand.ternary) for operand in operands if operand.ternary]
    if ternary:
        studies = [operand.fp4 for operand in operands]
        return _TernaryProducts.apply(x, studies, operands[0].kept, *chain.from_iterable(ternary))
    return tuple(_float_product(x, operand) for operand in operands)


def _float_product(x: Tensor, operand: Operand) -> Tensor:
    if operand.fp4:
        return fp4_linear(x, operand.weight, operand.fp4)
    if operand.kept is not None and torch.is_grad_enabled():
        return filtered_linear(x, operand.weight, operand.kept)
    return F.linear(x, operand.weight)


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Weights do not change inside this block: each ternary one is quantised once instead of at every call."""
    layers = freeze(model)
    try:
        yield
    finally:
        for layer in layers:
            layer._frozen = None


def freeze(model: nn.Module) -> Sequence[TernaryModule]:
    """Quantise every ternary weight once for all; from now on the model must not learn."""
    layers = [module for module in model.modules() if isinstance(module, TernaryModule)]
    for layer in layers:
        layer._frozen = layer.ternary()
    return layers


class _TernaryProducts(torch.autograd.Function):
    """Products of one input with several matrices, each given as latent weight, codes and scale.

    Keeps codes (1 byte a value) for backward, no floats. A study replaces the operands of the backward matmuls.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, studies: list[Fp4Study | None], kept: KeptRows | None, *parts: Tensor
    ) -> tuple[Tensor, ...]:
        device, shape = x.device.type, x.shape[:-1]
        matrices = [TernaryWeight(*pair) for pair in zip(parts[1::3], parts[2::3], strict=True)]
        autocast = torch.is_autocast_enabled(device)
        dtype = torch.get_autocast_dtype(device) if autocast else x.dtype
        with torch.autocast(device, enabled=False):
            codes, scale, products = _products(x.flatten(0, -2), matrices, dtype)
            outputs = tuple(product.unflatten(0, shape) for product in products)
        ctx.input_shape, ctx.input_dtype, ctx.weight_dtype = x.shape, x.dtype, parts[0].dtype
        ctx.studies, ctx.kept = studies, kept
        ctx.save_for_backward(codes, scale, *chain.from_iterable(matrices))
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *d_outputs: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        codes, scale, *parts = ctx.saved_tensors
        kept = ctx.kept or EVERY_ROW
        codes, scale = kept.gather(codes), kept.gather(scale)
        d_rows = [kept.gather(d_output.flatten(0, -2)) for d_output in d_outputs]  # (N, out) each
        d_x: Tensor | None = None
        if ctx.needs_input_grad[0]:
            matrices = [TernaryWeight(*pair).dequantise() for pair in zip(parts[::2], parts[1::2], strict=True)]
            # Ternary codes are FP4 values already: only the other operand is quantised.
            rows = [study.gradient(d) if study else d for study, d in zip(ctx.studies, d_rows, strict=True)]
            d_x = _sum_of_products(rows, matrices)
            d_x = kept.scatter(d_x).view(ctx.input_shape).to(ctx.input_dtype)
        wide = torch.promote_types(d_rows[0].dtype, torch.float32)
        x_q = codes.to(wide).mul_(scale).to(d_rows[0].dtype)  # (N, in)
        d_weights = [
            _weight_gradient(rows, x_q, study).to(ctx.weight_dtype) if needed else None
            for rows, study, needed in zip(d_rows, ctx.studies, ctx.needs_input_grad[3::3], strict=True)
        ]
        return d_x, None, None, *chain.from_iterable((d_weight, None, None) for d_weight in d_weights)


def _products(x: Tensor, matrices: Sequence[TernaryWeight], dtype: torch.dtype) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Codes (N, in) int8 and scale (N, 1) of tokens x (N, in), and their product with each matrix (N, out).

    All ways give the same bits; kernels are taken where they are faster.
    """
    if dtype == torch.float32 and training.usable(x, matrices):
        return training.products(x, matrices)
    if training_gpu.usable(x, matrices, dtype, plain_products):
        return training_gpu.products(x, matrices, dtype)
    return plain_products(x, matrices, dtype)


def plain_products(
    x: Tensor, matrices: Sequence[tuple[Tensor, Tensor]], dtype: torch.dtype
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """As above, in torch: what every other way must equal."""
    tokens = token_codes(x)
    return (
        tokens.codes.to(torch.int8),
        tokens.scale,
        [scaled_product(tokens, TernaryWeight(*each), dtype) for each in matrices],
    )


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


def _weight_gradient(rows: Tensor, x: Tensor, study: Fp4Study | None) -> Tensor:
    """dY^T X (out, in), for dY (N, out) and X (N, in)."""
    if study:
        rows, x = study.weight_gradient_operands(rows, x)
    return rows.mT @ x


def _sum_of_products(rows: Sequence[Tensor], matrices: Sequence[Tensor]) -> Tensor:
    """Sum over i of rows[i] (N, out_i) times matrices[i] (out_i, in): (N, in)."""
    total = rows[0] @ matrices[0].to(rows[0].dtype)
    for row, matrix in zip(rows[1:], matrices[1:], strict=True):
        total.addmm_(row, matrix.to(row.dtype))
    return total
