"""Exact products of small whole numbers, by whichever path this machine runs faster.

int8 codes can be multiplied as int8 with int32 sums (`torch._int_mm`), or as float32: products of codes up to 127 with
codes up to 127 have sums below 2^24 for up to 1040 terms; ternary codes for up to 132,104. Float32 holds every such sum
exactly, so both paths give the same bits and the choice is a matter of speed alone: int8 is 8 times as fast as float32
with VNNI or tensor cores, and 40 times slower on a CPU with AVX2 only. It is measured once for each device and remembered
with what else was measured on this machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal, cast, get_args

import torch
from torch import Tensor

from nanokernels import tuned_file

Path = Literal["int8", "float32"]
FEW_ROWS = 16  # up to here a product is bound by reading the matrix, and CUDA's int8 path wants more rows
MULTIPLE = 8  # CUDA's int8 path wants widths divisible by it
EXACT_TERMS = (2**24 - 1) // 127

_chosen: dict[tuple[str, bool], Path] = {}


def int_matmul(codes: Tensor, ternary: Tensor) -> Tensor:
    """codes (N, K) times ternary (M, K) transposed: exact sums (N, M) as float32.

    `codes` holds whole numbers in -127..127 as int8 or float32, `ternary` -1, 0 and 1 as int8. Raises ValueError for
    more than 132,104 columns, where float32 could round.
    """
    if codes.shape[1] > EXACT_TERMS:
        raise ValueError(f"{codes.shape[1]} columns: sums are exact up to {EXACT_TERMS}")
    if chosen_path(codes.device, codes.shape[0]) == "int8":
        return int8_matmul(codes, ternary)
    return float_matmul(codes, ternary)


def float_matmul(codes: Tensor, ternary: Tensor) -> Tensor:
    """The product in float32."""
    return codes.float() @ ternary.float().mT


def int8_matmul(codes: Tensor, ternary: Tensor) -> Tensor:
    """The product in int8 with int32 sums."""
    return int8_sums(codes, ternary).float()


def int8_sums(codes: Tensor, ternary: Tensor) -> Tensor:
    """The sums (N, M) int32 themselves. Sizes are padded with zeros to what CUDA accepts."""
    rows, out = codes.shape[0], ternary.shape[0]
    codes = codes.to(torch.int8)
    if codes.device.type == "cuda":
        codes, ternary = _pad(codes, more_than=FEW_ROWS), _pad(ternary)
    sums = torch._int_mm(codes.contiguous(), ternary.contiguous().mT)  # pyright: ignore[reportPrivateImportUsage]
    return sums[:rows, :out]


def _pad(codes: Tensor, more_than: int = 0) -> Tensor:
    rows, columns = max(codes.shape[0], more_than + 1), codes.shape[1]
    bottom, right = -rows % MULTIPLE + rows - codes.shape[0], -columns % MULTIPLE
    return torch.nn.functional.pad(codes, (0, right, 0, bottom)) if bottom or right else codes


def chosen_path(device: torch.device, rows: int) -> Path:
    """The path that products of so many rows take on this device."""
    key = (device.type, rows <= FEW_ROWS)
    if key not in _chosen:
        _chosen[key] = _remembered(device, 1 if rows <= FEW_ROWS else 128)
    return _chosen[key]


def _remembered(device: torch.device, rows: int) -> Path:
    """Of this version of torch, whose product it is."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    key = f"torch {torch.__version__} on {name}, {rows} tokens"
    known = (tuned_file.read(key) or {}).get("path")
    if known in get_args(Path):
        return cast(Path, known)
    measured = _measure(device, rows=rows)
    tuned_file.write(key, {"path": measured})
    return measured


def _measure(device: torch.device, *, rows: int, width: int = 512) -> Path:
    codes = torch.ones(rows, width, dtype=torch.int8, device=device)
    ternary = torch.ones(width, width, dtype=torch.int8, device=device)
    as_float = _seconds(lambda: float_matmul(codes, ternary), device)
    return "int8" if _seconds(lambda: int8_matmul(codes, ternary), device) < as_float else "float32"


def _seconds(product: Callable[[], Tensor], device: torch.device, repeats: int = 3) -> float:
    """The fastest of some runs; the first warms up and does not count."""
    times = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        product()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - began)
    return min(times[1:])
