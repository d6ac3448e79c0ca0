"""Worker verb `doctor`: what this machine has, which of it is used, and why."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from nanocore.config.machine import processor_info
from nanocore.errors import ResourceError
from nanocore.runs.text import sanitize_line
from nanocore.worker.channel import Channel, Record

PACKAGES = (
    "nanoconsole",
    "torch",
    "triton",
    "numpy",
    "safetensors",
    "tokenizers",
    "gguf",
    "transformers",
    "llama-cpp-python",
)
FLAGS = ("avx2", "fma", "avx_vnni", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16", "amx_int8", "asimd", "asimddp")
LEAST_FREE = 2**30  # bytes on a disk, below which checkpoints and caches get into trouble
Section = dict[str, Any]


def doctor(request: Record, channel: Channel) -> None:
    """One table for each part of the machine, and `problems` in plain words. `runs` is the folder of runs.

    With `reset_tuning` it only forgets what was measured on this machine, and answers with what was `removed`.
    """
    if request.get("reset_tuning"):
        return channel.answer({"kind": "done", **_forgotten()})
    problems: list[str] = []
    sections: dict[str, Callable[[], Section]] = {
        "versions": _versions,
        "machine": _machine,
        "kernels": lambda: _kernels(problems),
        "torch": _torch,
        "measured": _measured,
        "gpu": _gpu,
        "folders": lambda: _folders(Path(request["runs"]), problems),
    }
    facts = {name: _guarded(name, look, problems) for name, look in sections.items()}
    return channel.answer({"kind": "done", **facts, "problems": problems})


def _forgotten() -> Section:
    """The measured choices that were deleted: of each file in `folder` its entries."""
    from nanokernels import autotune, tuned_file

    folder = tuned_file.path().parent
    try:
        return {"folder": str(folder), "removed": autotune.reset()}
    except OSError as error:
        raise ResourceError(f"cannot be deleted: {error.strerror}", where=str(error.filename)) from None


def _guarded(name: str, look: Callable[[], Section], problems: list[str]) -> Section:
    """A part that cannot be looked at is a finding too, whatever the reason."""
    try:
        return look()
    except Exception as error:
        reason = sanitize_line(f"{type(error).__name__}: {error}", 200)
        problems.append(f"{name}: {reason}")
        return {"error": reason}


def _versions() -> Section:
    return {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _machine() -> Section:
    import psutil

    from nanocore.runs.spawn import thread_count

    memory, processor = psutil.virtual_memory(), processor_info()
    present = (processor.get("flags") or processor.get("Features") or "").split()
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": sanitize_line(processor.get("model name", platform.machine())),
        "cores": psutil.cpu_count(logical=False),
        "processors_allowed": len(os.sched_getaffinity(0)),
        "threads_used": thread_count(),
        "flags": [flag for flag in FLAGS if flag in present],
        "memory_bytes": memory.total,
        "memory_available_bytes": memory.available,
    }


def _kernels(problems: list[str]) -> Section:
    """The paths of a ternary product: the first available is taken where nothing else was measured to be faster."""
    from nanokernels import native, ops

    found, missing = native.find(), ops.unavailable_paths()
    if found.library is None:
        fix = "; unset it" if found.reason.endswith("NANOKERNELS_NATIVE=0") else ""
        problems.append(f"kernels: slow paths only, there is no native library: {found.reason}{fix}")
    return {
        "active": ops.active_path(),
        "decoder": "native" if found.library is not None else "torch, several times slower",
        "available": ops.available_paths(),
        "unavailable": dict(missing),
        "library": found.origin or found.reason,
        "compiler": _compiler(),
    }


def _compiler() -> str | None:
    """What would compile the kernels: looked for as `build` does, so that both say the same."""
    from nanokernels import build

    try:
        return build.compiler()
    except build.BuildError:
        return None


def _measured() -> Section:
    """What the choices of path, threads, layouts and blocks rest on; `doctor --reset-tuning` forgets it."""
    from nanokernels import autotune

    return dict(sorted(autotune.inspect().items()))


def _torch() -> Section:
    import torch

    from nanokernels.int_matmul import chosen_path

    cpu = torch.device("cpu")
    return {
        "version": str(torch.__version__),
        "threads": torch.get_num_threads(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "ternary_matmul_one_token": chosen_path(cpu, 1),
        "ternary_matmul_many_tokens": chosen_path(cpu, 128),
    }


def _gpu() -> Section:
    import torch

    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    built = torch.version.cuda or "none: this is a CPU build of torch"
    return {"devices": names, "cuda_of_torch": built, "triton": _version("triton")}


def _takes_files(place: Path) -> bool:
    """Whether a folder can be made there, found by making one: permissions alone do not tell, least of all a superuser."""
    try:
        with tempfile.TemporaryDirectory(prefix=".nanoconsole-", dir=place):
            return True
    except OSError:
        return False


def _folders(runs: Path, problems: list[str]) -> Section:
    from nanocore.runs.layout import cache_root

    found: Section = {"python": sys.executable}
    for name, folder in (("runs", runs), ("cache", cache_root())):
        place = next(each for each in (folder, *folder.parents) if each.exists())
        free, writable = shutil.disk_usage(place).free, _takes_files(place)
        found |= {name: str(folder), f"{name}_free_bytes": free, f"{name}_writable": writable}
        if not writable:
            problems.append(f"folders: {sanitize_line(str(folder))} cannot be written to")
        elif free < LEAST_FREE:
            problems.append(f"folders: {free >> 20} MiB are left for {sanitize_line(str(folder))}")
    return found
