"""A configuration so small that a whole run takes a second or two."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from nanocore.config.overrides import apply
from nanocore.config.schema import Config
from nanocore.config.validate import build
from nanocore.runs.create import Parent, create_run
from nanocore.runs.layout import RunFolder

TABLE: dict[str, Any] = {
    "model": {"d_model": 32, "n_layers": 2, "n_heads": 2, "n_kv_heads": 1, "d_ff": 64, "context_length": 32},
    "mhc": {"streams": 2, "every": 4},
    "data": {"sources": [{"kind": "synthetic", "documents": 64}], "tokenizer": "bytes"},
    "training": {"steps": 12, "batch_size": 4},
    "schedule": {"warmup_steps": 2},
    "evaluation": {"every": 6, "tokens": 512, "sample_tokens": 8},
    "checkpoint": {"every": 4},
    "hardware": {"device": "cpu", "dtype": "float32", "threads": 1},
    "logging": {"tensorboard": False, "layers_every": 4},
}


def tiny_config(*sets: str) -> Config:
    return build(apply(TABLE, list(sets)))


def new_run(root: Path, *sets: str, name: str = "tiny", parent: Parent | None = None) -> RunFolder:
    return create_run(root, tiny_config(*sets), name=name, preset="tiny", parent=parent)


def train(run: RunFolder) -> int:
    """Run the real trainer to its end in this process (importing torch again takes seconds); its exit code."""
    from nanocore.train.__main__ import main

    return main([str(run.path)])


def train_apart(run: RunFolder, *launcher: str) -> subprocess.CompletedProcess[str]:
    """Run the real trainer to its end in a process of its own, behind `python -m LAUNCHER...` if given."""
    return subprocess.run(
        [sys.executable, *launcher, "-m", "nanocore.train", str(run.path)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
