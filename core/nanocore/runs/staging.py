"""A resume that changes the configuration: the new one waits beside the old until its trainer was able to use it.

The console writes config.next.toml, the trainer reads it and, once everything is built from it, renames it over
config.toml. An attempt that fails before that leaves config.toml as it was, so the next resume starts from what worked.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from nanocore.runs.layout import RunFolder


def configuration_file(run: RunFolder) -> Path:
    """The file that a trainer starting now works by."""
    return run.next_config_file if run.next_config_file.is_file() else run.config_file


def accept(run: RunFolder) -> None:
    """Make the waiting configuration, if there is one, the run's own in one step. Raises OSError."""
    if run.next_config_file.is_file():
        run.next_config_file.replace(run.config_file)


def discard(run: RunFolder) -> None:
    """Drop a configuration whose attempt failed, or was killed before it could say so."""
    with suppress(OSError):
        run.next_config_file.unlink()
