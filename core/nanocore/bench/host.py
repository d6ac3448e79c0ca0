"""The machine that figures are of, as far as it is known without torch, and whether it was free."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from nanocore.runs.create import git_revision
from nanokernels.cpu_cache import last_level_cache
from nanokernels.tuned_file import cpus, machine

BUSY = 0.25  # of a CPU, at work for others


def host_facts(packages: Sequence[str]) -> dict[str, Any]:
    """CPU, versions of Python and of the named packages (None where one is not installed), and the load average of the last minute."""
    return {
        "cpu": machine()["cpu"],
        "cpus": cpus(),
        "cache_bytes": last_level_cache(),
        "system": f"{platform.system()} {platform.release()}",
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in packages}},
        "git": git_revision(),
        "load_average": round(os.getloadavg()[0], 2),
    }


def warnings(found: dict[str, Any]) -> list[str]:
    """What makes the figures worth less."""
    if found["load_average"] <= BUSY:
        return []
    load = f"the load average was {found['load_average']} on {found['cpus']} CPUs before the start"
    return [f"{load}: other programs worked too, so figures are worse than they could be, and differ from run to run"]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
