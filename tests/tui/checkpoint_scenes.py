"""Checkpoints that are whole by their hashes, without a model in them."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from nanocore.checkpoint.manifest import commit, step_folder
from nanocore.runs.layout import RunFolder
from tests.tui.scenes import NOW


def save(run: RunFolder, *steps: int, age: float = 3600) -> None:
    """A checkpoint of 100 kB at each step, `age` seconds old."""
    for step in steps:
        folder = step_folder(run.checkpoints_dir, step)
        commit(partial(_build, content=bytes([step % 256]) * 100_000), folder, {})
        os.utime(folder, (NOW - age, NOW - age))


def _build(folder: Path, content: bytes) -> None:
    (folder / "model.safetensors").write_bytes(content)


def damage(run: RunFolder, step: int) -> None:
    """Flip a bit; sizes stay."""
    file = step_folder(run.checkpoints_dir, step) / "model.safetensors"
    raw = bytearray(file.read_bytes())
    raw[5] ^= 1
    file.write_bytes(raw)
