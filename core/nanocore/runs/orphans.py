"""Folders that hold the name of a run and something of one, but no run.json: nothing trains, shows or lists them."""

from __future__ import annotations

import time
from pathlib import Path

from nanocore.runs.layout import RunFolder, check_name, find_run, folders_in
from nanocore.runs.traces import began

_YOUNG = 10.0  # seconds; a run that is just made has its configuration some milliseconds before its run.json


def orphans(root: Path) -> list[RunFolder]:
    """All of them under `root`, by name. Raises UsageError when it cannot be listed."""
    return [run for run in folders_in(root) if is_orphan(run)]


def is_orphan(run: RunFolder) -> bool:
    """Whether a folder is none of a run only for want of run.json."""
    return not run.run_file.is_file() and (began(run) or run.status_file.exists() or _configured(run))


def find_folder(root: Path, name: str) -> RunFolder:
    """As `find_run`, but one of these is found too: for verbs that look into a folder or move it away."""
    run = RunFolder(root / check_name(name))
    return run if not run.path.is_symlink() and is_orphan(run) else find_run(root, name)


def _configured(run: RunFolder) -> bool:
    try:
        return time.time() - run.config_file.lstat().st_mtime > _YOUNG
    except OSError:
        return False
