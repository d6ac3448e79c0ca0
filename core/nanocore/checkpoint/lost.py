"""A run that saved checkpoints and has none left: it does not begin at step 0 again without a word."""

from __future__ import annotations

from nanocore.checkpoint.manifest import folders, leftovers
from nanocore.errors import CheckpointError
from nanocore.runs.hints import to_type
from nanocore.runs.layout import RunFolder
from nanocore.runs.traces import last_saved


def lost_place(run: RunFolder) -> CheckpointError | None:
    """The refusal of such a run; None where there is a checkpoint, whole or not, and for a run that never saved one."""
    try:
        if folders(run.checkpoints_dir) or leftovers(run.checkpoints_dir):  # of the latter one may be put back
            return None
    except OSError:  # what is in there is not known
        return None
    step = last_saved(run)
    return CheckpointError("no checkpoint is left", where=run.name, fix=place_lost(run, step)) if step else None


def place_lost(run: RunFolder, step: int) -> str:
    """What that means, and what to do; the last checkpoint was that of `step`."""
    anew = to_type(f"train {run.name}")
    return (
        f"the last was of step {step}; a resume would begin at 0 and is refused: put a copy back, or begin anew: {anew}"
    )
