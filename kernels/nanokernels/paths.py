"""The ways a product can be computed, and which of them run on this machine.

A path is an instruction set of the native library, or Triton, torch, or the numpy reference. All give the same sums.
"""

from __future__ import annotations

import importlib
import os
from typing import Literal, get_args

import torch

from nanokernels import native

NativePath = Literal["avx512vnni", "avxvnni", "avx2", "neon", "scalar"]
Path = Literal["avx512vnni", "avxvnni", "avx2", "neon", "scalar", "triton", "torch", "reference"]
NATIVE: tuple[NativePath, ...] = get_args(NativePath)
VECTOR: tuple[NativePath, ...] = NATIVE[:-1]
CPU = torch.device("cpu")


def unavailable_paths(device: torch.device = CPU) -> dict[Path, str]:
    """The paths that cannot run here on tensors of this device, and why."""
    reasons: dict[Path, str] = {path: reason for path in NATIVE if (reason := _native_reason(path, device))}
    if reason := _triton_reason(device):
        reasons["triton"] = reason
    if device.type != "cpu":
        reasons["reference"] = "computes on the CPU"
    return reasons


def _native_reason(path: NativePath, device: torch.device) -> str:
    if device.type != "cpu":
        return "computes on the CPU"
    found = native.find()
    if found.library is None:
        return f"no native kernels: {found.reason}"
    return "" if found.library.nk_find(path.encode()) else "this CPU does not have it"


def _triton_reason(device: torch.device) -> str:
    """Asked of Triton itself only where it could run: importing it takes a second."""
    if device.type == "cpu" and os.environ.get("TRITON_INTERPRET") != "1":
        return "compiles for GPUs"
    return importlib.import_module("nanokernels.triton_language").unavailable(device)


def available_paths(device: torch.device = CPU) -> list[Path]:
    """The paths that run here on tensors of this device, the likely fastest first."""
    missing = unavailable_paths(device)
    order: list[Path] = [*VECTOR, "torch", "scalar", "triton", "reference"]
    if device.type != "cpu":
        order = ["triton", "torch"]
    return [path for path in order if path not in missing]


def active_path(device: torch.device = CPU) -> Path:
    """The path taken where nothing is said or measured: the best instruction set or Triton, else torch."""
    return available_paths(device)[0]


def runnable(path: Path, device: torch.device = CPU) -> Path:
    """The path itself. Raises ValueError with the reason where it cannot run on tensors of this device."""
    reason = unavailable_paths(device).get(path)
    if reason:
        raise ValueError(f"{path} cannot run here: {reason}")
    return path
