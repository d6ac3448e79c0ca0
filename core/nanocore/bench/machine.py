"""The machine that the figures of kernels and models are of: the host, and what computes on it."""

from __future__ import annotations

from typing import Any

from nanocore.bench.host import host_facts
from nanokernels import native
from nanokernels.paths import active_path, unavailable_paths

PACKAGES = ("nanoconsole", "torch", "numpy", "gguf", "llama-cpp-python")


def facts() -> dict[str, Any]:
    """CPU, kernels, versions, and the load average of the last minute."""
    return host_facts(PACKAGES) | {
        "active_path": active_path(),
        "unavailable_paths": dict(unavailable_paths()),
        "native_library": native.find().origin or native.find().reason,
    }
