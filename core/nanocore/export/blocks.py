"""Ternary codes in ggml's block formats, to bytes and back.

A block is a run of one row's columns with one float16 factor d; its values are d * code. Every format here holds codes
in {-1, 0, 1} exactly, so with d = 1 and the scale in a tensor of its own nothing is rounded. Unlike ggml's own
quantisers these take the codes and d as they are: an all-zero block keeps its d.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from gguf import GGMLQuantizationType as Type

from nanocore.errors import FormatError

Scheme = Literal["tq2_0", "tq1_0"]
FIFTHS = np.array([81, 27, 9, 3, 1], dtype=np.uint16)[:, None]  # weights of five trits in a byte of TQ1_0


@dataclass(frozen=True)
class BlockFormat:
    """`columns` codes make a block of `size` bytes; `pack` maps codes + 1 (N, columns) and d (N,) to (N, size)."""

    type: Type
    columns: int
    size: int
    pack: Callable[[np.ndarray, np.ndarray], np.ndarray]
    unpack: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def pack_codes(codes: np.ndarray, factors: np.ndarray, kind: BlockFormat) -> np.ndarray:
    """Bytes (..., rows, row size) of int8 codes (..., rows, columns) with float16 factors (..., rows, blocks)."""
    shape = codes.shape[:-1]
    trits = (codes + 1).astype(np.uint8).reshape(-1, kind.columns)
    packed = kind.pack(trits, factors.astype(np.float16).reshape(-1))
    return packed.reshape(*shape, -1)


def unpack_codes(data: np.ndarray, kind: BlockFormat, *, where: str) -> tuple[np.ndarray, np.ndarray]:
    """int8 codes (..., rows, columns) and float16 factors (..., rows, blocks) of bytes (..., rows, row size).

    Raises FormatError where bytes are not what `pack_codes` writes for any codes.
    """
    shape = data.shape[:-1]
    trits, factors = kind.unpack(data.reshape(-1, kind.size))
    if trits.max(initial=0) > 2 or not np.array_equal(kind.pack(trits, factors).reshape(data.shape), data):
        raise FormatError("holds values that are not ternary codes", where=where)
    codes = trits.view(np.int8)
    codes -= 1
    return codes.reshape(*shape, -1), factors.reshape(*shape, -1)


def _pack_tq2(trits: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Two runs of 32 bytes; byte m of a run holds columns m, 32 + m, 64 + m, 96 + m at bits 0, 2, 4, 6."""
    parts = trits.reshape(-1, 2, 4, 32)
    codes = parts[:, :, 0] | parts[:, :, 1] << 2 | parts[:, :, 2] << 4 | parts[:, :, 3] << 6
    return np.concatenate((codes.reshape(-1, 64), _bytes(factors)), axis=1)


def _unpack_tq2(blocks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    shifts = np.array([0, 2, 4, 6], dtype=np.uint8)[:, None]
    trits = blocks[:, :64].reshape(-1, 2, 1, 32) >> shifts & 3
    return trits.reshape(-1, 256), _floats(blocks[:, 64:])


def _pack_tq1(trits: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Five trits a byte (of 32 bytes, then of 16), then four a byte (of 4), as ceil(256 v / 243)."""
    parts = (trits[:, :160].reshape(-1, 5, 32), trits[:, 160:240].reshape(-1, 5, 16), trits[:, 240:].reshape(-1, 4, 4))
    values = np.concatenate([(part * FIFTHS[: part.shape[1]]).sum(axis=1) for part in parts], axis=1)
    return np.concatenate((((values * 256 + 242) // 243).astype(np.uint8), _bytes(factors)), axis=1)


def _unpack_tq1(blocks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The leading trit is the whole part of 3 v / 256; multiplying by 3 modulo 256 brings the next to the front."""
    powers = np.array([1, 3, 9, 27, 81], dtype=np.uint8)[:, None]
    runs = ((0, 32, 5), (32, 48, 5), (48, 52, 4))
    parts = [blocks[:, None, start:end] * powers[:count] for start, end, count in runs]  # wraps around on purpose
    values = np.concatenate([part.reshape(len(blocks), -1) for part in parts], axis=1)
    return (values.astype(np.uint16) * 3 >> 8).astype(np.uint8), _floats(blocks[:, 52:])


def _pack_q4(trits: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """d, then 16 bytes with columns m and 16 + m in their halves, as code + 8."""
    halves = (trits + 7).reshape(-1, 2, 16)
    return np.concatenate((_bytes(factors), halves[:, 0] | halves[:, 1] << 4), axis=1)


def _unpack_q4(blocks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    nibbles = np.stack((blocks[:, 2:] & 15, blocks[:, 2:] >> 4), axis=1).reshape(-1, 32)
    return nibbles - np.uint8(7), _floats(blocks[:, :2])  # what is below 7 wraps to a value that is no trit


def _bytes(factors: np.ndarray) -> np.ndarray:
    return factors.astype("<f2").view(np.uint8).reshape(-1, 2)


def _floats(data: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(data).view("<f2").reshape(-1)


TQ2_0 = BlockFormat(Type.TQ2_0, 256, 66, _pack_tq2, _unpack_tq2)
TQ1_0 = BlockFormat(Type.TQ1_0, 256, 54, _pack_tq1, _unpack_tq1)
Q4_0 = BlockFormat(Type.Q4_0, 32, 18, _pack_q4, _unpack_q4)
SCHEMES: dict[Scheme, BlockFormat] = {"tq2_0": TQ2_0, "tq1_0": TQ1_0}
FORMATS = {kind.type: kind for kind in (TQ2_0, TQ1_0, Q4_0)}


def choose_format(scheme: Scheme, columns: int, group: int) -> BlockFormat | None:
    """The smallest format whose blocks fit a row of `columns`, and groups of `group` columns that share a d (0: none).

    None when no format does: the codes are then written as plain float16 numbers.
    """
    fitting = (SCHEMES[scheme], Q4_0)
    return next((kind for kind in fitting if not columns % kind.columns and not group % kind.columns), None)
