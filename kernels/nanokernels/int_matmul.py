"""Exact products of small whole numbers, by whichever path this machine runs faster.

int8 codes can be multiplied as int8 with int32 sums (`torch._int_mm`), or as float32: products of codes up to 127 with
codes up to 127 have sums below 2^24 for up to 1040 terms; ternary codes for up to 132,104. Float32 holds every such sum
exactly, so both paths give the same bits and the choice is a matter of speed alone: int8 is faster with VNNI or tensor
cores, float32 on a CPU with AVX2 only. It is measured for each device and remembered (`autotune.fastest`), for few rows
and for many, on one thread and a matrix of 512 x 512: the answer was the same with 1024 and 2048.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, cast

import torch
from torch import Tensor

from nanokernels import autotune, tuned_file

Path = Literal["int8", "float32"]
FEW_ROWS = 16  # up to here a product is bound by reading the matrix, and CUDA's int8 path wants more rows
MULTIPLE = 8  # CUDA's int8 path wants widths divisible by it
EXACT_TERMS = (2**24 - 1) // 127
MEASURED_WIDTH = 512

_chosen: dict[tuple[str, bool], Path] = {}
tuned_file.forgotten_by(lambda: _chosen.clear())


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
        _chosen[key] = _fastest(device, 1 if rows <= FEW_ROWS else 128)
    return _chosen[key]


def _fastest(device: torch.device, rows: int) -> Path:
    """Of this version of torch, whose product it is. A CPU is asked on one thread, by the processor time that it got."""
    on_gpu, width = device.type == "cuda", MEASURED_WIDTH
    codes = torch.ones(rows, width, dtype=torch.int8, device=device)
    ternary = torch.ones(width, width, dtype=torch.int8, device=device)

    def clock() -> float:
        if on_gpu:
            torch.cuda.synchronize(device)
        return time.perf_counter() if on_gpu else time.thread_time()

    ways = {"int8": lambda: int8_matmul(codes, ternary), "float32": lambda: float_matmul(codes, ternary)}
    name = torch.cuda.get_device_name(device) if on_gpu else f"{device.type}, one thread"
    with _one_thread():
        what = f"codes times ternary, {rows} x {width} x {width}, torch {torch.__version__} on {name}"
        return cast(Path, autotune.fastest(what, ways, clock))


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
