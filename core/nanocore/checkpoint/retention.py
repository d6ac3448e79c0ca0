"""Which checkpoints a run keeps: the newest, those of every so many steps, and the best by held-out loss."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from nanocore.checkpoint.choose import best_steps
from nanocore.checkpoint.manifest import retain
from nanocore.runs.layout import RunFolder

if TYPE_CHECKING:
    from nanocore.config.sections import Checkpointing


def retain_by(run: RunFolder, policy: Checkpointing, needed: Iterable[int] = ()) -> list[Path]:
    """Remove the checkpoints that `policy` does not keep, and return them; for the process that holds the run's lock.

    Those of the steps in `needed` stay too, and so does the last good one, whatever the policy says.
    """
    best = best_steps(run, policy.keep_best) if policy.keep_best else []
    return retain(run.checkpoints_dir, policy.keep_last, {*needed, *best}, every=policy.keep_every)
