"""The model that Python users name."""

from __future__ import annotations

import sys
import warnings
from os import PathLike

from nanocore.api.arguments import path_text, step_of
from nanocore.errors import CheckpointWarning
from nanocore.infer.locate import Source, locate, named
from nanocore.runs.layout import run_root


def located(path: str | PathLike[str], step: int | str) -> Source:
    """The model at a path or of a run. Raises UsageError, CheckpointError.

    Damaged checkpoints that were passed over for it are a CheckpointWarning, at the line of the user's that asked for it.
    """
    source = locate(named(path_text(path), run_root()), step_of(step))
    if source.passed_over:
        warnings.warn(source.passed_over, CheckpointWarning, stacklevel=_outside())
    return source


def _outside() -> int:
    """How far above `located` the nearest call from outside of this package is, as `stacklevel` counts."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "nanocore":
        level, frame = level + 1, frame.f_back
    return level
