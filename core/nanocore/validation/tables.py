"""The small configurations that checks compute with. No torch here."""

from __future__ import annotations

import sysconfig
from pathlib import Path
from typing import Any

from nanocore.config.overrides import apply
from nanocore.config.schema import Config
from nanocore.config.validate import build

SMALL: dict[str, Any] = {
    "model": {"d_model": 32, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "d_ff": 48, "context_length": 24},
    "mhc": {"streams": 2},
    "data": {"sources": [{"kind": "synthetic", "documents": 64}], "tokenizer": "bytes", "workers": 0},
    "training": {"steps": 8, "batch_size": 4},
    "schedule": {"warmup_steps": 2},
    "evaluation": {"every": 0, "tokens": 192, "sample_tokens": 4},
    "checkpoint": {"every": 0, "keep_last": 9},
    "hardware": {"device": "cpu", "dtype": "float32", "threads": 1},
    "logging": {"tensorboard": False},
}
# Modules of the standard library that every supported Python has; together some 400 KB of text.
LIBRARY = (
    "bisect", "calendar", "cmd", "code", "codeop", "colorsys", "contextlib", "copy", "copyreg", "csv", "dataclasses",
    "difflib", "filecmp", "fileinput", "fnmatch", "fractions", "functools", "getopt", "glob", "graphlib", "gzip", "heapq",
    "keyword", "linecache", "operator", "pprint", "queue", "random", "sched", "shlex", "statistics", "textwrap",
)  # fmt: skip


def small_config(*sets: str) -> Config:
    """A configuration for a model of a few thousand numbers, with `--set` pairs."""
    return build(apply(SMALL, list(sets)))


def library_files() -> list[str]:
    """Real text: source files of this Python's library; none where it comes without them."""
    root = Path(sysconfig.get_path("stdlib"))
    return [str(path) for name in LIBRARY if (path := root / f"{name}.py").is_file()]


def library_sets() -> tuple[str, ...]:
    """`--set` pairs for such text. Four documents in ten are held out: of so few, a smaller share might be none."""
    paths = ", ".join(f'"{path}"' for path in library_files())
    return (f'data.sources=[{{kind = "files", paths = [{paths}]}}]', "data.validation_fraction=0.4")
