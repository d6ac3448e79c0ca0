"""Kernels: token codes times a packed ternary matrix, with whole-number sums (W2A8).

One kernel serves one token and thousands: the packed rows are the left operand of the tensor cores (int8 `dot`, int32
sums), the tokens the right one, padded to 16. A single token leaves most of the tensor core idle, which costs nothing,
because reading the matrix is what takes the time. Where the tiles are too few to occupy the GPU, the columns are split among
several programs, whose sums `scale_sums` adds.
"""

from __future__ import annotations

from nanokernels.triton_language import constexpr, jit, tl


@jit
def tile_sums(row, token, plane, start, stop, row_mask, token_mask, BYTES: constexpr):
    """Sums over bytes start..stop of one group: (ROWS, TOKENS) int32, with the + 1 of three fields still in them.

    `row` (ROWS, 1) and `token` (TOKENS, 1) point to the group's first byte and its first token code. The four fields come out
    of the byte times 64, 16, 4 and 1; dividing the sums by 4 between them, which is exact, brings them together.
    """
    sums = tl.zeros((row.shape[0], token.shape[0]), tl.int32)
    column = tl.arange(0, BYTES)[None, :]
    for first in range(start, stop, BYTES):
        byte = first + column
        packed = tl.load(row + byte, mask=row_mask & (byte < stop), other=0)
        code, mask = token + byte, token_mask & (byte < stop)
        tile = tl.dot(packed & -64, tl.load(code + 3 * plane, mask=mask, other=0).T, out_dtype=tl.int32) >> 2
        tile = tl.dot(packed & 48, tl.load(code + 2 * plane, mask=mask, other=0).T, tile, out_dtype=tl.int32) >> 2
        tile = tl.dot(packed & 12, tl.load(code + plane, mask=mask, other=0).T, tile, out_dtype=tl.int32) >> 2
        sums += tl.dot(packed & 3, tl.load(code, mask=mask, other=0).T, tile, out_dtype=tl.int32)
    return sums


@jit
def group_totals(
    row, token, offsets, weight_scale, m, n, rows, plane, groups, first, stop, m_mask, n_mask,
    ROWS: constexpr, TOKENS: constexpr, BYTES: constexpr,
):  # fmt: skip
    """Sums of groups first..stop, each times the scale of its row, added up: (ROWS, TOKENS) float32."""
    total = tl.zeros((ROWS, TOKENS), tl.float32)
    for group in range(first, tl.minimum(stop, groups)):
        here, there = row + group * plane, token + group * 4 * plane
        sums = tile_sums(here, there, plane, 0, plane, m_mask[:, None], n_mask[:, None], BYTES)
        sums -= tl.load(offsets + n * groups + group, mask=n_mask, other=0)[None, :]
        total += sums.to(tl.float32) * tl.load(weight_scale + group * rows + m, mask=m_mask, other=0.0)[:, None]
    return total


@jit
def ternary_product(
    packed, packed_stride, codes, codes_stride, offsets, weight_scale, token_scale, out, rows, tokens, plane, groups, share,
    ROWS: constexpr, TOKENS: constexpr, BYTES: constexpr, GROUPED: constexpr, SCALED: constexpr,
):  # fmt: skip
    """One tile (ROWS, TOKENS) of the product, over one share of the columns.

    Grid: tiles of rows, tiles of tokens, splits. `share` is how many groups a split takes if GROUPED, else how many bytes.
    SCALED writes y (tokens, rows) in the dtype of `out`. Otherwise `out` (splits, tokens, rows) gets the sums: int32, or
    float32 times the weight's scales if GROUPED. `offsets` int32 (tokens, groups) is what `plane_offsets` gives.
    """
    m = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    n = tl.program_id(1) * TOKENS + tl.arange(0, TOKENS)
    split = tl.program_id(2)
    first_token = split.to(tl.int64) * tokens
    m_mask, n_mask = m < rows, n < tokens
    row = packed + m[:, None].to(tl.int64) * packed_stride
    token = codes + n[:, None].to(tl.int64) * codes_stride
    first, stop = split * share, (split + 1) * share
    if GROUPED:
        total = group_totals(
            row, token, offsets, weight_scale, m, n, rows, plane, groups, first, stop, m_mask, n_mask, ROWS, TOKENS, BYTES
        )  # fmt: skip
    else:
        total = tile_sums(row, token, plane, first, tl.minimum(stop, plane), m_mask[:, None], n_mask[:, None], BYTES)
        if split == 0:
            total -= tl.load(offsets + n * groups, mask=n_mask, other=0)[None, :]
    if SCALED:
        if not GROUPED:
            total = total.to(tl.float32) * tl.load(weight_scale)
        total *= tl.load(token_scale + n, mask=n_mask, other=0.0)[None, :]
    place = (first_token + n[None, :]) * rows + m[:, None]
    tl.store(out + place, total.to(out.dtype.element_ty), mask=m_mask[:, None] & n_mask[None, :])


@jit
def scale_sums(
    sums, stride, weight_scale, token_scale, out, rows, tokens, splits, GROUPED: constexpr, BLOCK: constexpr
):
    """y (tokens, rows) from sums (splits, tokens, rows): added up, times the weight's scale unless GROUPED, times the token's.

    `stride` is that of the tokens in `sums`. Grid: tokens, blocks of rows.
    """
    n = tl.program_id(0).to(tl.int64)
    m = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    mask = m < rows
    total = tl.load(sums + n * stride + m, mask=mask, other=0)
    for split in range(1, splits):
        total += tl.load(sums + (split * tokens + n) * stride + m, mask=mask, other=0)
    value = total.to(tl.float32)
    if not GROUPED:
        value *= tl.load(weight_scale)
    value *= tl.load(token_scale + n)
    tl.store(out + n * rows + m, value.to(out.dtype.element_ty), mask=mask)
