"""What a run came to, to the bit: what two runs that should be the same are compared by."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from nanocore.checkpoint.manifest import latest
from nanocore.runs.curve import newest_attempts
from nanocore.runs.layout import RunFolder
from nanocore.runs.records import read_all

# Differ from run to run, or are measured against the process's own past.
TIMED = ("time", "elapsed", "throughput", "memory", "device", "ternary/flip_fraction")


def state_of(run: RunFolder) -> dict[str, Any]:
    """Weights, optimizer state, counters, data position and the whole curve of a run, times left out."""
    path = latest(run.checkpoints_dir)
    assert path is not None, run.log_file
    progress = json.loads((path / "state.json").read_text())["state"]["progress"]
    progress.pop("elapsed")
    return {"tensors": tensors(path), "progress": progress, "curve": curve(run)}


def tensors(checkpoint: Path) -> dict[str, bytes]:
    """Weights, buffers and optimizer state of a checkpoint as bytes, by name."""
    found = {**load_file(checkpoint / "model.safetensors"), **load_file(checkpoint / "optim.safetensors")}
    return {name: tensor.numpy().tobytes() for name, tensor in found.items()}


def curve(run: RunFolder) -> dict[int, dict[str, Any]]:
    """The metrics of every step as the curve now stands, tokens included."""
    found: dict[int, dict[str, Any]] = {}
    for record in newest_attempts(read_all(run.metrics_file)):
        kept = {key: value for key, value in record.items() if ("/" in key or key == "tokens") and _exact(key)}
        found.setdefault(record["step"], {}).update(kept)
    return found


def _exact(key: str) -> bool:
    return key not in TIMED and key.partition("/")[0] not in TIMED
