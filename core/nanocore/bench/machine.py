"""The machine that the figures are of, and whether it was free."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from nanocore.runs.create import git_revision
from nanokernels import native
from nanokernels.cpu_cache import last_level_cache
from nanokernels.paths import active_path, unavailable_paths
from nanokernels.tuned_file import cpus, machine

PACKAGES = ("nanoconsole", "torch", "numpy", "gguf", "llama-cpp-python")
BUSY = 0.25  # of a CPU, at work for others


def facts() -> dict[str, Any]:
    """CPU, kernels, versions, and the load average of the last minute."""
    return {
        "cpu": machine()["cpu"],
        "cpus": cpus(),
        "cache_bytes": last_level_cache(),
        "active_path": active_path(),
        "unavailable_paths": dict(unavailable_paths()),
        "native_library": native.find().origin or native.find().reason,
        "system": f"{platform.system()} {platform.release()}",
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
        "git": git_revision(),
        "load_average": round(os.getloadavg()[0], 2),
    }


def warnings(found: dict[str, Any]) -> list[str]:
    """What makes the figures worth less."""
    if found["load_average"] <= BUSY:
        return []
    load = f"the load average was {found['load_average']} on {found['cpus']} CPUs before the start"
    return [f"{load}: other programs worked too, so figures are too low and differ from run to run"]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
