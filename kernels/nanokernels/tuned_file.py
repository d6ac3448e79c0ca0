"""What autotune measured on this machine, as a JSON file in the cache."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import tempfile
from functools import cache
from pathlib import Path

from nanokernels import build
from nanokernels.cache import folder

SCHEMA = 1


def cpus() -> int:
    """CPUs this process may use."""
    return len(os.sched_getaffinity(0))


@cache
def machine() -> dict[str, str]:
    """What the figures depend on."""
    wanted = {"model name": "", "flags": "", "CPU part": "", "Features": ""}  # the first two on x86, the others on ARM
    try:
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            name, _, value = line.partition(":")
            if wanted.get(name.strip()) == "":
                wanted[name.strip()] = value.strip()
    except OSError:
        pass
    flags = hashlib.sha256((wanted["flags"] + wanted["Features"]).encode()).hexdigest()[:16]
    model = wanted["model name"] or wanted["CPU part"] or platform.machine()
    return {
        "cpu": model,
        "flags": flags,
        "kernels": build.version(),
        "native": os.environ.get("NANOKERNELS_NATIVE", ""),
    }


def path() -> Path:
    """The file of this machine and this many CPUs."""
    key = hashlib.sha256(json.dumps([machine(), cpus()], sort_keys=True).encode()).hexdigest()[:16]
    return folder("kernels") / f"autotune-{key}.json"


def entries() -> dict[str, dict]:
    """What is in the file: nothing where it is missing, damaged, or of another schema."""
    return _content(path())[1]


def _content(file: Path) -> tuple[dict, dict[str, dict]]:
    """The machine that a file is for and what was measured there; nothing of either where it is no such file."""
    try:
        content = json.loads(file.read_text())
        known = content["entries"] if content["schema"] == SCHEMA else {}
        json.dumps(known, allow_nan=False)  # infinities are read without a complaint
        return dict(content.get("machine", {})), {key: value for key, value in known.items() if isinstance(value, dict)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}, {}


def read(key: str) -> dict | None:
    """What was measured under this key."""
    return entries().get(key)


def write(key: str, value: dict) -> None:
    """Add to the file, by an atomic replace. A cache that cannot be written is no reason to fail: it is measured again."""
    target = path()
    content = {"schema": SCHEMA, "machine": machine(), "entries": {**entries(), key: value}}
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=target.parent, suffix=".tmp", delete=False) as file:
            json.dump(content, file, indent=1)
        Path(file.name).replace(target)
    except OSError:
        return


def reset() -> dict[str, dict[str, dict]]:
    """Delete the files of this machine: of any version and number of CPUs, and damaged ones. Names them and what they held.

    Raises OSError for a file that cannot be deleted.
    """
    removed: dict[str, dict[str, dict]] = {}
    for file in sorted(path().parent.glob("autotune-*.json")):
        of, known = _content(file)
        if not of or all(of.get(name) == machine()[name] for name in ("cpu", "flags")):
            file.unlink(missing_ok=True)
            removed[file.name] = known
    return removed
