"""FP4 emulated: values go to the nearest E2M1 number times a scale, and come back as floats.

E2M1 has 0, 0.5, 1, 1.5, 2, 3, 4 and 6. What shares a scale, and what a scale can be, is the format:
    nvfp4: 16 values, an E4M3 number times a float32 number for the whole tensor (arXiv 2509.25149);
    mxfp4: 32 values, a power of two (OCP Microscaling 1.0), rounded up so that nothing overflows;
    token: a whole row, a float32 number.
Everything is decided in float32.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

Format = Literal["nvfp4", "mxfp4", "token"]

LARGEST = 6.0  # of E2M1
LARGEST_E4M3, SMALLEST_E4M3 = 448.0, 2.0**-6  # the normal numbers among them
LARGEST_EXPONENT = 127  # of E8M0, either way
SMALLEST_SCALE = 1e-30  # keeps a tensor of zeros from dividing by zero
BLOCK = {"nvfp4": 16, "mxfp4": 32, "token": 0}  # 0 is the whole row


class Scales(NamedTuple):
    """What a block's values are multiplied with before rounding, and after; (row blocks, 1, column blocks, 1)."""

    before: Tensor
    after: Tensor


def e2m1(values: Tensor, noise: Tensor | None = None) -> Tensor:
    """The nearest E2M1 numbers, ties to even, saturating at 6.

    With `noise`, uniform in [0, 1), stochastically: the larger neighbour with the probability that makes the mean right.
    """
    size = values.abs().clamp(max=LARGEST)
    step = 0.5 + 0.5 * (size >= 2) + (size >= 4)  # between neighbours: 0.5 below 2, 1 below 4, 2 above
    steps = size / step
    if noise is None:
        rounded = steps.round()
    else:
        below = steps.floor()
        rounded = below + (noise < steps - below)
    return (rounded * step).copysign(values)


def fake_quantise(x: Tensor, format: Format, *, noise: Tensor | None = None, square: bool = False) -> Tensor:
    """x (rows, columns) as the FP4 format holds it, in float32. Blocks run along the columns, the last one padded.

    `noise` (rows, columns) rounds stochastically. `square` gives nvfp4 blocks of 16 x 16, which are the same for the
    transpose; other formats have no such form. Raises ValueError for square blocks of another format.
    """
    if square and format != "nvfp4":
        raise ValueError(f"{format} has no square blocks")
    width = BLOCK[format] or x.shape[1]
    height = width if square else 1
    blocks = _blocks(x.float(), height, width)
    largest = blocks.abs().amax(dim=(1, 3), keepdim=True)
    before, after = _SCALES[format](largest, noise is not None)
    noise = _blocks(noise, height, width) if noise is not None else None
    values = e2m1(blocks * before, noise).mul_(after)
    return values.flatten(2).flatten(0, 1)[: x.shape[0], : x.shape[1]]


def hadamard(size: int, device: torch.device | None = None) -> Tensor:
    """The orthogonal Hadamard matrix (size, size), for a power of two (Sylvester): entries +-1 / sqrt(size)."""
    matrix = torch.ones(1, 1, device=device)
    while matrix.shape[0] < size:
        matrix = torch.cat((torch.cat((matrix, matrix), 1), torch.cat((matrix, -matrix), 1)))
    return matrix / size**0.5


def rotate_rows(x: Tensor, rotation: Tensor) -> Tensor:
    """An orthogonal `rotation` (b, b) on each b rows of x (N, C), in float32: (N padded to a multiple of b, C)."""
    size = rotation.shape[0]
    padded = F.pad(x.float(), (0, 0, 0, -x.shape[0] % size))
    return (rotation @ padded.unflatten(0, (-1, size))).flatten(0, 1)


def _blocks(x: Tensor, height: int, width: int) -> Tensor:
    """(row blocks, height, column blocks, width), padded with zeros."""
    padded = F.pad(x, (0, -x.shape[1] % width, 0, -x.shape[0] % height))
    return padded.unflatten(1, (-1, width)).unflatten(0, (-1, height))


def _nvfp4(largest: Tensor, stochastic: bool) -> Scales:
    """Tensor scale amax / (6 448), block scale amax / 6 in its units, as E4M3.

    The nearest E4M3 number may be up to 1/16 too small for its block's largest value, which then saturates. That would
    bias stochastic rounding, so there the scale is rounded up.
    """
    tensor = (largest.amax() / (LARGEST * LARGEST_E4M3)).clamp(min=SMALLEST_SCALE)
    exact = (largest / LARGEST / tensor).clamp(SMALLEST_E4M3, LARGEST_E4M3)
    codes = exact.to(torch.float8_e4m3fn)
    if stochastic:  # the bits of positive floats are in their order, so one more is the next number
        codes = (codes.view(torch.uint8) + (codes.float() < exact)).view(torch.float8_e4m3fn)
    block = codes.float()
    return Scales((1.0 / tensor) / block, tensor * block)


def _mxfp4(largest: Tensor, _stochastic: bool) -> Scales:
    """The smallest power of two that is at least amax / 6."""
    mantissa, exponent = torch.frexp(largest / LARGEST)  # mantissa in [0.5, 1)
    exponent = (exponent - (mantissa == 0.5).int()).clamp(-LARGEST_EXPONENT, LARGEST_EXPONENT).float()
    exponent = torch.where(largest.isfinite(), exponent, torch.nan)
    return Scales(torch.exp2(-exponent), torch.exp2(exponent))


def _token(largest: Tensor, _stochastic: bool) -> Scales:
    scale = (largest / LARGEST).clamp(min=SMALLEST_SCALE)
    return Scales(scale.reciprocal(), scale)


_SCALES = {"nvfp4": _nvfp4, "mxfp4": _mxfp4, "token": _token}
