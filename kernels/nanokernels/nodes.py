"""Machines whose memory is divided: each node has its own, which the CPUs of others reach more slowly."""

from __future__ import annotations

import os
from pathlib import Path

NODES = Path("/sys/devices/system/node")


def nodes() -> int:
    """Nodes with CPUs that this process may use; 1 where the system does not tell."""
    allowed = os.sched_getaffinity(0)
    own = [node for node in NODES.glob("node[0-9]*") if any((node / f"cpu{cpu}").exists() for cpu in allowed)]
    return max(1, len(own))
