"""Check: what computes is installed in versions this was made for, and the best path that can run is the one taken."""

from __future__ import annotations

import platform
import sys

import torch

from nanocore.validation.outcome import Found, expect
from nanocore.validation.workshop import Workshop
from nanokernels import ops

OLDEST, NEWEST = (2, 11), (2, 14)  # of torch: from the first on, below the second


def check(_: Workshop) -> Found:
    system = platform.system()
    expect(system == "Linux", system, "Linux")
    expect(sys.version_info >= (3, 11), platform.python_version(), "Python 3.11 or newer")
    version = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2])
    expect(OLDEST <= version < NEWEST, f"torch {torch.__version__}", "torch from 2.11 on, before 2.14")
    paths, missing = ops.available_paths(), ops.unavailable_paths()
    expect(not set(paths) & set(missing), f"both there and missing: {set(paths) & set(missing)}", "each path once")
    active = ops.active_path()
    expect(active == paths[0], active, f"{paths[0]}, the likely fastest of {', '.join(paths)}")
    device = f", {torch.cuda.get_device_name(0)}" if torch.cuda.is_available() else ", no GPU"
    absent = f"; not here: {', '.join(missing)}" if missing else ""
    return Found(f"torch {torch.__version__}{device}, kernels {active}", f"paths here: {', '.join(paths)}{absent}")
