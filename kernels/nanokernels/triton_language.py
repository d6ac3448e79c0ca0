"""Triton where it is installed, and a reason where it is not: the kernel modules beside this one import either way.

`jit` compiles a kernel at its first launch. With TRITON_INTERPRET=1 in the environment when this module is imported, every
kernel runs on the CPU in Triton's interpreter instead: slow, exact, and the same source.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

MISSING = "triton is not installed (pip install 'nanoconsole[gpu]')"
OLDEST = (8, 0)  # compute capability with int8 tensor cores and asynchronous copies
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"

triton: Any = None
tl: Any = None
try:
    triton = importlib.import_module("triton")
    tl = importlib.import_module("triton.language")
    importlib.import_module("triton.testing")
except ImportError:
    installed = False
else:
    installed = True

if TYPE_CHECKING:
    constexpr = int  # the type of a kernel's arguments that are fixed when it is compiled
else:
    constexpr = tl.constexpr if installed else int


class Unavailable(RuntimeError):
    """A Triton kernel was asked for where none can run; the message is the reason."""


def jit(function: Callable[..., None]) -> Any:
    """The kernel that Triton makes of this function; without Triton the function, which nothing can launch."""
    return triton.jit(function) if installed else function


def launch(kernel: Any, grid: tuple[int, ...], *arguments: Any, **options: Any) -> None:
    """Run `grid` programs of a kernel on the GPU of its first argument. Raises Unavailable with the reason.

    A product and the sum that follows it are rounded one after the other, as on the CPU, never together.
    """
    if reason := unavailable(arguments[0].device):
        raise Unavailable(reason)
    with torch.cuda.device_of(arguments[0]):
        kernel[grid](*arguments, enable_fp_fusion=False, **options)


def unavailable(device: torch.device) -> str:
    """Why no kernel can run on tensors of this device; empty where they can."""
    if not installed:
        return MISSING
    if INTERPRETED:
        return "" if device.type == "cpu" else "TRITON_INTERPRET=1 runs the kernels on the CPU"
    if device.type != "cuda":
        return f"Triton compiles for GPUs, and these tensors are on the device {device.type}"
    if torch.version.hip is None and torch.cuda.get_device_capability(device) < OLDEST:
        return f"{torch.cuda.get_device_name(device)} is older than compute capability {OLDEST[0]}.{OLDEST[1]}"
    return ""


def power_of_two(size: int) -> int:
    """The least power of two that is not below `size`."""
    return 1 << max(size - 1, 0).bit_length()
