"""What the kernels compute, in plain numpy: the specification that every other path is compared with.

Weights are ternary codes (M, K) in -1, 0, 1; tokens are 8-bit codes (N, K). A packed matrix is cut into row blocks, a
block into lines of 64 bytes, one line for four consecutive columns; byte `lane * 4 + j` of a line belongs to column j of
the four and to the rows `field * 16 + lane` of the block. Missing rows and columns are packed as weight 0.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Layout = Literal["t2", "t5"]
LANES = 16  # rows of one field in a block
QUAD = 4  # columns in a line
LINE = LANES * QUAD  # bytes
FIELDS: dict[Layout, int] = {"t2": 4, "t5": 5}  # weights in a byte
PLACE_VALUES: dict[Layout, tuple[int, ...]] = {"t2": (1, 4, 16, 64), "t5": (1, 3, 9, 27, 81)}

LARGEST_CODE = np.float32(127)
SMALLEST_SCALE = np.float32(1e-5 / 127)


def block_rows(layout: Layout) -> int:
    """Rows of a block: 64 or 80."""
    return FIELDS[layout] * LANES


def padded_shape(rows: int, columns: int, layout: Layout) -> tuple[int, int]:
    """Rows to whole blocks, columns to whole lines."""
    block = block_rows(layout)
    return -(-rows // block) * block, -(-columns // QUAD) * QUAD


def pack_codes(codes: NDArray[np.int8], layout: Layout) -> NDArray[np.uint8]:
    """Codes (M, K) to bytes, 1-D. A byte is the sum over its fields of (code + 1) times 4^field, or 3^field."""
    rows, columns = padded_shape(codes.shape[0], codes.shape[1], layout)
    padded = np.zeros((rows, columns), np.int8)
    padded[: codes.shape[0], : codes.shape[1]] = codes
    fields = padded.reshape(-1, FIELDS[layout], LANES, columns // QUAD, QUAD) + 1  # (block, field, lane, line, j)
    values = np.array(PLACE_VALUES[layout]).reshape(1, -1, 1, 1, 1)
    packed = (fields * values).sum(axis=1)  # (block, lane, line, j)
    return packed.transpose(0, 2, 1, 3).astype(np.uint8).reshape(-1)


def unpack_codes(data: NDArray[np.uint8], rows: int, columns: int, layout: Layout) -> NDArray[np.int8]:
    """The codes (M, K) that `pack_codes` packed."""
    padded_rows, padded_columns = padded_shape(rows, columns, layout)
    lines = data.reshape(-1, padded_columns // QUAD, LANES, QUAD)  # (block, line, lane, j)
    base = PLACE_VALUES[layout][1]
    fields = np.stack(
        [lines // value % base for value in PLACE_VALUES[layout]], axis=1
    )  # (block, field, line, lane, j)
    codes = fields.transpose(0, 1, 3, 2, 4).reshape(padded_rows, padded_columns).astype(np.int8) - np.int8(1)
    return codes[:rows, :columns]


def quantise_tokens(x: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Codes (N, K) and scales (N, 1) of tokens x (N, K): absmax, rounded half to even, all in float32.

    A token that holds NaN or infinity has scale NaN and codes 0, so that all its products are NaN.
    """
    largest = np.abs(x).max(axis=1, keepdims=True)
    finite = np.isfinite(largest)
    scale = np.maximum(np.where(finite, largest, 0) / LARGEST_CODE, SMALLEST_SCALE).astype(np.float32)
    rounded = np.rint(np.where(finite, x, 0) * (np.float32(1) / scale))
    return rounded.astype(np.int8), np.where(finite, scale, np.float32(np.nan)).astype(np.float32)


def int_sums(tokens: NDArray[np.int8], codes: NDArray[np.int8], groups: int = 1) -> NDArray[np.int64]:
    """Exact sums (groups, N, M) of tokens (N, K) times weights (M, K), one for each of the groups of columns."""
    width = codes.shape[1] // groups
    grouped = tokens.reshape(len(tokens), groups, width), codes.reshape(len(codes), groups, width)
    return np.einsum("ngk,mgk->gnm", *(part.astype(np.int64) for part in grouped))


def scaled(
    sums: NDArray[np.int64], weight_scale: NDArray[np.float32], token_scale: NDArray[np.float32]
) -> NDArray[np.float32]:
    """y (N, M): sums (groups, N, M) times weight scales (groups, 1 or M), added up, times token scales (N, 1)."""
    products = sums.astype(np.float32) * weight_scale[:, np.newaxis, :]
    return np.add.reduce(products, axis=0, dtype=np.float32) * token_scale
