"""What processes that died left in a run folder: files and folders that were to be renamed into place."""

from __future__ import annotations

import os
import re
import shutil
import time
from pathlib import Path

from nanocore.runs.layout import RunFolder

OLD = 600.0  # seconds without a change: on a shared disk the process of that number may live on another host
_TEMPORARY = re.compile(r"\..+\.tmp-(\d{1,10})")


def dead_temporaries(run: RunFolder) -> list[Path]:
    """Those beside the run's own files and exports whose process is not here any more, and that rest for some time.

    Those of checkpoints belong to `manifest.leftovers`.
    """
    folders = (run.path, run.control_dir, run.samples_dir, run.exports_dir)
    return sorted(path for folder in folders for path in _inside(folder) if _is_dead(path))


def remove(path: Path) -> None:
    """Remove a file, a link or a folder. Raises OSError."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _inside(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _is_dead(path: Path) -> bool:
    match = _TEMPORARY.fullmatch(path.name)
    if match is None:
        return False
    try:
        return time.time() - path.lstat().st_mtime > OLD and not _lives(int(match.group(1)))
    except OSError:
        return False


def _lives(pid: int) -> bool:
    return os.path.lexists(f"/proc/{pid}")
