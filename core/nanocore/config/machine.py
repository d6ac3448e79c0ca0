"""What `auto` in [hardware] comes to on this machine, found without torch."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path
from typing import Literal

from nanocore.config.sections import Hardware

# One of these is there where an NVIDIA driver is loaded; some containers and WSL have `nvidia-smi` alone.
_DRIVER = ("/proc/driver/nvidia/version", "/dev/nvidiactl")


def lacks_driver(hardware: Hardware) -> bool:
    """Whether a CUDA device is asked for by name and nothing of an NVIDIA driver is on this machine."""
    if hardware.device in ("auto", "cpu"):
        return False
    return not any(Path(each).exists() for each in _DRIVER) and shutil.which("nvidia-smi") is None


def device_type(hardware: Hardware) -> Literal["cpu", "cuda"]:
    """`auto` means CUDA where an NVIDIA driver is loaded."""
    if hardware.device == "auto":
        return "cuda" if Path("/dev/nvidiactl").exists() else "cpu"
    return "cpu" if hardware.device == "cpu" else "cuda"


def compute_bytes(hardware: Hardware) -> Literal[2, 4]:
    """Bytes of a value inside a layer: 2 for bfloat16, which `auto` takes where the hardware multiplies it fast."""
    if hardware.dtype == "auto":
        return 2 if device_type(hardware) == "cuda" or cpu_multiplies_bfloat16() else 4
    return 2 if hardware.dtype == "bfloat16" else 4


@cache
def cpu_multiplies_bfloat16() -> bool:
    """bfloat16 matmuls beat float32 only with these instructions; emulated they are ten times slower."""
    flags = processor_info().get("flags", "").split()
    return "avx512_bf16" in flags or "amx_bf16" in flags


def processor_info() -> dict[str, str]:
    """What Linux says of the first processor; nothing where it says nothing."""
    try:
        first = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.split(":", 1) for line in first.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}
