"""What an exception that ends a training means to the person who started it."""

from __future__ import annotations

from pathlib import Path

from nanocore.errors import DISK_FULL, NanoError, ResourceError
from nanocore.runs.text import sanitize_line

_FREE = "free some space, then resume the run"


def explained(error: Exception) -> NanoError | None:
    """The error in plain words, with its exit code; None for a fault of the program itself."""
    if isinstance(error, NanoError):
        return error
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        where = sanitize_line(Path(error.filename).name) if isinstance(error.filename, str) else ""
        return ResourceError(f"nothing more can be written: {error.strerror}", where=where, fix=_FREE)
    return _memory_error(error) if _out_of_memory(error) else None


def unwritable(error: OSError, run: str) -> ResourceError:
    """A run folder in which a trainer cannot even begin to report."""
    return ResourceError(f"the run folder cannot be written: {error.strerror or error}", where=run, fix=_FREE)


def _out_of_memory(error: Exception) -> bool:
    text = str(error)
    return isinstance(error, MemoryError) or "out of memory" in text.lower() or "can't allocate memory" in text


def _memory_error(error: Exception) -> ResourceError:
    return ResourceError(
        f"out of memory: {(str(error) or type(error).__name__).splitlines()[0]}",
        fix="resume with --set training.accumulation=2 or training.activation_checkpointing=full; see docs/troubleshooting.md",
    )
