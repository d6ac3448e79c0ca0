"""Products of one input with ternary matrices: whole numbers are multiplied, the scales are applied to the sums.

BitNet b1.58 (arXiv 2402.17764). Backward takes the quantisers for the identity: dX = dY Wq and dW = dY^T Xq, with the
dequantised Wq and Xq and no clip mask. Float twins multiply here too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from nanocore.model.fp4_study import Fp4Study, fp4_linear
from nanocore.model.kept_rows import EVERY_ROW, KeptRows, filtered_linear
from nanocore.model.quantise import TernaryWeight
from nanokernels import inference_gpu, training, training_gpu
from nanokernels.plain import scaled_product, token_codes
from nanokernels.triton_planes import Planes


class Operand(NamedTuple):
    """A matrix as `multiply` takes it: the latent weight (out, in) that gets the gradient, and what stands for it.

    Without `ternary` the weight itself multiplies. `fp4` is what a study does to the operands of its matmuls, `kept`
    knows the tokens that have a backward pass. `planes` packs the matrix for a GPU, where it stays as it is.
    """

    weight: Tensor
    ternary: TernaryWeight | None
    fp4: Fp4Study | None
    kept: KeptRows | None = None
    planes: Callable[[], Planes] | None = None


def multiply(x: Tensor, operands: Sequence[Operand]) -> tuple[Tensor, ...]:
    """x (..., in) times each matrix transposed, (..., out); the matrices are all ternary, or all float."""
    ternary = [(operand.weight, *operand.ternary) for operand in operands if operand.ternary]
    if x.is_cuda and not torch.is_grad_enabled() and (outputs := _packed_products(x, operands)):
        return outputs
    if ternary:
        studies = [operand.fp4 for operand in operands]
        return _TernaryProducts.apply(x, studies, operands[0].kept, *chain.from_iterable(ternary))
    return tuple(_float_product(x, operand) for operand in operands)


def _packed_products(x: Tensor, operands: Sequence[Operand]) -> tuple[Tensor, ...]:
    """The outputs, by the GPU's kernels for packed matrices; none where those cannot run or are not faster."""
    matrices = [operand.ternary for operand in operands if operand.ternary]
    packers = [operand.planes for operand in operands if operand.planes]
    rows, device = x.flatten(0, -2), x.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
    if len(packers) < len(operands) or not inference_gpu.usable(rows, matrices, dtype, plain_products):
        return ()
    products = inference_gpu.products(rows, [pack() for pack in packers], dtype)
    return tuple(product.unflatten(0, x.shape[:-1]) for product in products)


def _float_product(x: Tensor, operand: Operand) -> Tensor:
    if operand.fp4:
        return fp4_linear(x, operand.weight, operand.fp4)
    if operand.kept is not None and torch.is_grad_enabled():
        return filtered_linear(x, operand.weight, operand.kept)
    return F.linear(x, operand.weight)


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
            # Ternary codes are FP4 values already: only the other operand is quantised.
            rows = [study.gradient(d) if study else d for study, d in zip(ctx.studies, d_rows, strict=True)]
            pairs = zip(parts[::2], parts[1::2], rows, strict=True)
            matrices = [dequantised(each, by, row.dtype) for each, by, row in pairs]
            d_x = _sum_of_products(rows, matrices)
            d_x = kept.scatter(d_x).view(ctx.input_shape).to(ctx.input_dtype)
        x_q = dequantised(codes, scale, d_rows[0].dtype)  # (N, in)
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
        [scaled_product(tokens, each, dtype) for each in matrices],
    )


def dequantised(codes: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    """What codes (R, C) int8 stand for, in dtype; the scale is (1, 1), (R, 1) or (R, groups)."""
    if training_gpu.dequantises(codes, dtype, plain_dequantised):
        return training_gpu.dequantised(codes, scale, dtype)
    return plain_dequantised(codes, scale, dtype)


def plain_dequantised(codes: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    """As above, in torch: what every other way must equal."""
    return TernaryWeight(codes, scale).dequantise(dtype)


def _weight_gradient(rows: Tensor, x: Tensor, study: Fp4Study | None) -> Tensor:
    """dY^T X (out, in), for dY (N, out) and X (N, in)."""
    if study:
        rows, x = study.weight_gradient_operands(rows, x)
    return rows.mT @ x


def _sum_of_products(rows: Sequence[Tensor], matrices: Sequence[Tensor]) -> Tensor:
    """Sum over i of rows[i] (N, out_i) times matrices[i] (out_i, in): (N, in)."""
    total = rows[0] @ matrices[0]
    for row, matrix in zip(rows[1:], matrices[1:], strict=True):
        total.addmm_(row, matrix)
    return total
