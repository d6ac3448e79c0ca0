"""Which checkpoints of a run its forks still start from: a fork reads its parent's until it has one of its own."""

from __future__ import annotations

from pathlib import Path

from nanocore.checkpoint.manifest import latest
from nanocore.runs.facts import read_facts
from nanocore.runs.layout import RunFolder, list_runs


def waiting_forks(root: Path, run: RunFolder) -> dict[str, int]:
    """Forks of `run` in `root` without a good checkpoint of their own, and the step of `run` each starts from."""
    found = {}
    for fork in list_runs(root):
        parent = read_facts(fork).parent
        if parent is not None and parent.run == run.name and latest(fork.checkpoints_dir) is None:
            found[fork.name] = parent.step
    return found
