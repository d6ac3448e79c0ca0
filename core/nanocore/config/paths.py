"""Paths in a configuration: relative ones mean the folder a command stands in, a run's must mean the same everywhere."""

from __future__ import annotations

import glob
from pathlib import Path

from nanocore.config.schema import Config


def anchored(config: Config) -> Config:
    """The configuration with every relative path made absolute, from the working directory; `~` stays as it is.

    These are data.sources[].paths (globs), data.tokenizer_file and collider.reference.
    """
    here = str(Path.cwd())
    root = glob.escape(here)
    sources = [
        source.model_copy(update={"paths": [_absolute(root, path) for path in source.paths]})
        for source in config.data.sources
    ]
    data = {"sources": sources, "tokenizer_file": _absolute(here, config.data.tokenizer_file)}
    collider = {"reference": _absolute(here, config.collider.reference)}
    sections = {
        "data": config.data.model_copy(update=data),
        "collider": config.collider.model_copy(update=collider),
    }
    return config.model_copy(update=sections)


def _absolute(folder: str, path: str) -> str:
    """`path` below `folder`; an empty one, an absolute one and one that begins with `~` are returned as they are."""
    return path if not path or path.startswith(("/", "~")) else str(Path(folder, path))
