"""Device, precision and peak rate of the machine a run trains on."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass

import psutil
import torch

from nanocore.config.machine import cpu_multiplies_bfloat16, processor_info
from nanocore.config.sections import Hardware
from nanocore.errors import ResourceError

# Dense bfloat16 FLOP/s stated by the makers; MFU is shown only where the card is in this table.
PEAK_FLOPS = {
    "A100": 312e12,
    "H100": 989e12,
    "H200": 989e12,
    "B200": 2250e12,
    "L40S": 362e12,
    "RTX 4090": 165e12,
    "RTX 3090": 71e12,
}


@dataclass(frozen=True)
class Machine:
    """Where a run computes: torch device, dtype of autocast regions, threads, and peak FLOP/s if known."""

    device: torch.device
    dtype: torch.dtype
    threads: int
    name: str
    peak_flops: float | None

    def autocast(self) -> contextlib.AbstractContextManager[object]:
        if self.dtype is torch.float32:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype)

    def synchronize(self) -> None:
        """Wait for the device, so that a clock read next is true. Nothing to wait for on the CPU."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def facts(self) -> dict[str, object]:
        return {
            "device": str(self.device),
            "device_name": self.name,
            "dtype": str(self.dtype).removeprefix("torch."),
            "threads": self.threads,
        }


def surroundings() -> dict[str, object]:
    """CPUs that this process may use, and memory of the machine."""
    return {"cpus": len(os.sched_getaffinity(0)), "memory_gib": round(psutil.virtual_memory().total / 2**30, 1)}


def choose_machine(hardware: Hardware, local_rank: int = 0) -> Machine:
    """Resolve `auto` values. Raises ResourceError when a CUDA device is asked for and not there."""
    device = _device(hardware.device, local_rank)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor_name()
    peak = next((flops for card, flops in PEAK_FLOPS.items() if card in name), None)
    dtype = _dtype(hardware.dtype, device)
    return Machine(device, dtype, torch.get_num_threads(), name, peak if dtype is torch.bfloat16 else None)


def _device(wanted: str, local_rank: int) -> torch.device:
    if wanted == "cpu" or (wanted == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise ResourceError(
            "no CUDA device can be used",
            where="hardware.device",
            fix="set hardware.device = cpu, or install a driver and a CUDA build of torch",
        )
    index = int(wanted.split(":")[1]) if ":" in wanted else local_rank
    if index >= torch.cuda.device_count():
        raise ResourceError(
            f"cuda:{index} does not exist, this machine has {torch.cuda.device_count()} CUDA device(s)",
            where="hardware.device",
            fix="choose a lower number",
        )
    return torch.device("cuda", index)


def _dtype(wanted: str, device: torch.device) -> torch.dtype:
    if wanted == "auto":
        fast = torch.cuda.is_bf16_supported() if device.type == "cuda" else cpu_multiplies_bfloat16()
        return torch.bfloat16 if fast else torch.float32
    return torch.bfloat16 if wanted == "bfloat16" else torch.float32


def _processor_name() -> str:
    info = processor_info()
    return info.get("model name", info.get("Processor", "CPU"))
