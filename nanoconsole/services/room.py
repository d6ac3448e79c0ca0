"""Whether the disk has room for a run's checkpoints, told before it is launched."""

from __future__ import annotations

import shutil
from pathlib import Path

from nanoconsole.services.format import size
from nanocore.config.estimate import estimate
from nanocore.config.schema import Config
from nanocore.files import is_there


def checkpoint_bytes(config: Config) -> int:
    """What the checkpoints of a run take at most: those that are kept, and the next, written before one of them goes."""
    figures, keep = estimate(config), config.checkpoint
    milestones = config.training.steps // keep.keep_every if keep.keep_every else 0
    return (figures.weight_bytes + figures.optimizer_bytes) * (keep.keep_last + keep.keep_best + milestones + 1)


def room_note(config: Config, root: Path) -> str:
    """A line when they do not fit on the disk of `root`; "" when they do, or the disk cannot be asked.

    Raises DataError when the configuration's tokenizer file cannot be read.
    """
    place = next(folder for folder in (root, *root.absolute().parents) if is_there(folder))
    try:
        free = shutil.disk_usage(place).free
    except OSError:
        return ""
    needed = checkpoint_bytes(config)
    if needed <= free:
        return ""
    return (
        f"its checkpoints need up to {size(needed)}, and {size(free)} are free in {place}; free the disk, "
        "or lower checkpoint.keep_last, keep_best or keep_every"
    )
