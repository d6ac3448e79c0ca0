"""What an exception that ends a training means to the person who started it."""

from __future__ import annotations

from pathlib import Path

from nanocore.errors import DISK_FULL, NanoError, ResourceError, remedy
from nanocore.runs.text import sanitize_line


def explained(error: Exception) -> NanoError | None:
    """The error in plain words, with its exit code; None for a fault of the program itself."""
    if isinstance(error, NanoError):
        return error
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        fix = then_resume(remedy(error))
        return ResourceError(f"nothing more can be written: {error.strerror}", where=_file(error), fix=fix)
    return _memory_error(error) if _out_of_memory(error) else None


def unwritable(error: OSError, run: str) -> ResourceError:
    """A run folder in which a trainer cannot even begin to report."""
    file = f"{name}: " if (name := _file(error)) else ""
    what = f"the run folder cannot be written: {file}{error.strerror or error}"
    return ResourceError(what, where=run, fix=then_resume(remedy(error)))


def then_resume(advice: str) -> str:
    """What to do about a run that ended because something could not be written."""
    return f"{advice or 'put that right'}, then resume the run"


def _file(error: OSError) -> str:
    """The name of the file that an error of the system is about, "" when it does not say."""
    return sanitize_line(Path(error.filename).name) if isinstance(error.filename, str) else ""


def _out_of_memory(error: Exception) -> bool:
    text = str(error)
    return isinstance(error, MemoryError) or "out of memory" in text.lower() or "can't allocate memory" in text


def _memory_error(error: Exception) -> ResourceError:
    return ResourceError(
        f"out of memory: {(str(error) or type(error).__name__).splitlines()[0]}",
        fix="resume with --set training.accumulation=2 or training.activation_checkpointing=full; see docs/troubleshooting.md",
    )
