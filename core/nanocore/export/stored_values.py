"""Tensors of a GGUF file as torch tensors: codes with their scales, and plain numbers."""

from __future__ import annotations

import numpy as np
import torch
from gguf import GGMLQuantizationType as Type
from gguf import quants
from torch import Tensor

from nanocore.errors import FormatError
from nanocore.export.blocks import FORMATS, unpack_codes
from nanocore.export.gguf_parse import RawTensor
from nanocore.export.tensors import LARGEST_SCALE

NUMBERS = {Type.F32: "<f4", Type.F16: "<f2"}


def float_values(raw: RawTensor, *, where: str) -> Tensor:
    """Float32 numbers of an F32, F16 or Q8_0 tensor. Raises FormatError for other types, and where one is not finite."""
    if raw.type == Type.Q8_0:
        columns = raw.data.reshape(*raw.shape[:-1], -1)
        with np.errstate(invalid="ignore"):  # an infinite factor times 0
            values = quants.dequantize(columns, Type.Q8_0)
    elif raw.type in NUMBERS:
        values = raw.data.view(NUMBERS[raw.type]).astype(np.float32)
    else:
        raise FormatError(f"has the type {raw.type.name}, which this program does not read", where=where)
    if not np.isfinite(values).all():
        raise FormatError("holds numbers that are not finite", where=where)
    return torch.from_numpy(values.reshape(raw.shape))


def codes_and_scale(raw: RawTensor, scale: Tensor | None, group: int, *, where: str) -> tuple[Tensor, Tensor]:
    """int8 codes (..., rows, columns) and float32 scales (..., 1, 1), or (..., rows, groups) of `group` columns each.

    `scale` holds those that stand beside the tensor; the tensor then is nothing but codes. Raises FormatError where
    numbers are not codes times such scales, or a scale is below 0 or above LARGEST_SCALE.
    """
    if raw.type == Type.F16 and scale is None:
        return codes_of_products(float_values(raw, where=where), group, where=where)
    if raw.type in FORMATS:
        kind = FORMATS[raw.type]
        codes, factors = unpack_codes(raw.data.reshape(*raw.shape[:-1], -1), kind, where=where)
        factors = factors.astype(np.float32)
        group = group // kind.columns
    elif raw.type == Type.F16:
        values = float_values(raw, where=where).numpy()
        codes, factors = np.sign(values).astype(np.int8), np.abs(values)
    else:
        raise FormatError(f"has the type {raw.type.name}, which holds no ternary codes", where=where)
    if scale is None:
        return torch.from_numpy(codes), sound_scale(_common(factors, group, False, where), where=where)
    if not np.isin(factors, (0, 1) if raw.type == Type.F16 else (1,)).all():
        raise FormatError("has scales both in its blocks and beside them", where=where)
    return torch.from_numpy(codes), sound_scale(scale, where=where)


def codes_of_products(values: Tensor, group: int, *, where: str) -> tuple[Tensor, Tensor]:
    """int8 codes (..., rows, columns) and scales, as `codes_and_scale`, of finite numbers that are codes times scales.

    A group without any code but 0 has scale 0, whatever it was: it adds nothing either way. Raises FormatError as there.
    """
    found = values.numpy()
    scale = _common(np.abs(found), group, True, where)
    return torch.from_numpy(np.sign(found).astype(np.int8)), sound_scale(scale, where=where)


def sound_scale(scale: Tensor, *, where: str) -> Tensor:
    """The finite scales themselves. Raises FormatError for one below 0 or above LARGEST_SCALE.

    No ternary quantiser has such, and a forward pass with them would overflow or turn signs.
    """
    low, high = float(scale.min()), float(scale.max())
    if low < 0 or high > LARGEST_SCALE:
        found = low if low < 0 else high
        raise FormatError(f"has a scale of {found:g}, scales are 0 to {LARGEST_SCALE:g}", where=where)
    return scale


def _common(factors: np.ndarray, group: int, zeros: bool, where: str) -> Tensor:
    """The one factor of each group (of the whole matrix for group 0), of factors (..., rows, blocks).

    With `zeros` factors may be 0 besides, where a code is 0.
    """
    *stack, rows, blocks = factors.shape
    grouped = factors.reshape(*stack, rows, -1, group) if group else factors.reshape(*stack, 1, 1, rows * blocks)
    common = grouped.max(axis=-1, keepdims=True)
    allowed = (grouped == common) | (grouped == 0) if zeros else grouped == common
    if not (np.isfinite(common) & allowed).all():
        raise FormatError("has scales that differ within a group", where=where)
    return torch.from_numpy(common[..., 0])
