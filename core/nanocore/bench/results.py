"""The form of every result of `bench`, and the names in it that both who measures and who shows it know. No torch.

A result is one JSON object: `schema`, `bench` (its kind), `created` (Unix time), `command`, `machine` (of `compare`: `machines`),
and what its kind measured.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

SCHEMA = 1
KINDS = ("compare", "console", "kernels", "memory", "train")
Document = Mapping[str, Any]
Mode = Literal["eager", "compiled"]  # of `bench train`
MODES: tuple[Mode, ...] = get_args(Mode)


def stamped(kind: str, report: Document, command: Sequence[str]) -> dict[str, Any]:
    """A report as a result of its kind, made now by `command`."""
    return {**report, "schema": SCHEMA, "bench": kind, "created": time.time(), "command": list(command)}
