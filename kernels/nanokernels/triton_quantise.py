"""Kernels: the two quantisers of BitNet b1.58 (arXiv 2402.17764), each in as few passes over memory as it needs.

Codes equal those of the CPU to the bit: division is IEEE (`div_rn`), not the GPU's approximate one, and `launch` keeps a
product from being rounded together with the sum that follows it.
"""

from __future__ import annotations

from nanokernels.triton_language import constexpr, jit, tl


@jit
def nearest_code(x):
    """x rounded to a whole number, ties to even, for |x| < 2^22: beside 1.5 * 2^23 there are no bits for a fraction."""
    return (x + 12582912.0) - 12582912.0


@jit
def token_scale_of(row, columns, BLOCK: constexpr):
    """max(max|x|, 1e-5) / 127 of one row; NaN where the row has one.

    The maximum is taken over the bits, which order like the numbers without their sign and put NaN above infinity.
    """
    largest = tl.zeros((BLOCK,), tl.int32)
    for first in range(0, columns, BLOCK):
        column = first + tl.arange(0, BLOCK)
        x = tl.load(row + column, mask=column < columns, other=0.0).to(tl.float32)
        largest = tl.maximum(largest, x.to(tl.int32, bitcast=True) & 0x7FFFFFFF)
    scale = tl.div_rn(tl.max(largest, axis=0).to(tl.float32, bitcast=True), 127.0)
    smallest = 7.874015748031497e-08  # 1e-5 / 127
    return tl.where(scale < smallest, smallest, scale)


@jit
def token_codes(
    x,
    codes,
    scales,
    offsets,
    columns,
    groups,
    width,
    padded,
    OFFSETS: constexpr,
    GROUPS: constexpr,
    BLOCK: constexpr,
    READ: constexpr,
):
    """Absmax codes of one token, int8, and its scale: one program a token.

    Each group of `width` columns is written to `padded` places, with zeros behind. OFFSETS also sums the codes of the first
    three quarters of each group. Tiles are (GROUPS, BLOCK); READ columns at once are read for the scale.
    """
    token = tl.program_id(0).to(tl.int64)
    scale = token_scale_of(x + token * columns, columns, READ)
    tl.store(scales + token, scale)
    inverse = tl.div_rn(1.0, scale)
    for first_group in range(0, groups, GROUPS):
        group = first_group + tl.arange(0, GROUPS)
        sums = tl.zeros((GROUPS,), tl.int32)
        for first in range(0, padded, BLOCK):
            column = first + tl.arange(0, BLOCK)
            here = (group[:, None] < groups) & (column[None, :] < width)
            value = tl.load(x + token * columns + group[:, None] * width + column[None, :], mask=here, other=0.0)
            code = nearest_code(value.to(tl.float32) * inverse).to(tl.int8)
            place = codes + token * groups * padded + group[:, None] * padded + column[None, :]
            tl.store(place, code, mask=(group[:, None] < groups) & (column[None, :] < padded))
            if OFFSETS:
                sums += tl.sum(tl.where(column[None, :] < padded // 4 * 3, code.to(tl.int32), 0), axis=1)
        if OFFSETS:
            tl.store(offsets + token * groups + group, sums, mask=group < groups)


@jit
def ternary_of(weight, mean):
    """round(w / mean) in -1..1, for the mean clamped to 1e-5, without a division.

    w / mean rounds to a number above 1/2 exactly where w > mean / 2: the next float above mean / 2 is already farther from
    it, relatively, than half the step above 1/2. And 1/2 itself goes to the even 0.
    """
    half = tl.maximum(mean, 1e-5) * 0.5
    return (weight > half).to(tl.int8) - (weight < -half).to(tl.int8)


@jit
def scale_of(scale, row, column, rows, columns, row_scales, width, GROUPED: constexpr):
    """scale[row * row_scales], plus column // width places if GROUPED; `row_scales` 0 means one for all rows."""
    place, mask = row.to(tl.int64) * row_scales, row < rows
    if GROUPED:
        place = place + column // width
        mask = mask & (column < columns)
    return tl.load(scale + place, mask=mask, other=0.0)


@jit
def weight_codes(
    weight,
    scale,
    codes,
    rows,
    columns,
    row_scales,
    width,
    GROUPED: constexpr,
    ROWS: constexpr,
    COLUMNS: constexpr,
):
    """Absmean codes int8 (rows, columns) of a weight whose means |w| are given: `scale_of` says which is whose."""
    row = (tl.program_id(0) * ROWS + tl.arange(0, ROWS))[:, None]
    column = (tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS))[None, :]
    mask = (row < rows) & (column < columns)
    place = row.to(tl.int64) * columns + column
    w = tl.load(weight + place, mask=mask, other=0.0).to(tl.float32)
    mean = scale_of(scale, row, column, rows, columns, row_scales, width, GROUPED)
    tl.store(codes + place, ternary_of(w, mean), mask=mask)


@jit
def dequantise(
    codes,
    scale,
    out,
    rows,
    columns,
    row_scales,
    width,
    GROUPED: constexpr,
    ROWS: constexpr,
    COLUMNS: constexpr,
):
    """out (rows, columns) = codes * scale, rounded from float32 to the dtype of `out`: `scale_of` says which is whose."""
    row = (tl.program_id(0) * ROWS + tl.arange(0, ROWS))[:, None]
    column = (tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS))[None, :]
    mask = (row < rows) & (column < columns)
    place = row.to(tl.int64) * columns + column
    value = tl.load(codes + place, mask=mask, other=0).to(tl.float32)
    value *= scale_of(scale, row, column, rows, columns, row_scales, width, GROUPED)
    tl.store(out + place, value.to(out.dtype.element_ty), mask=mask)
