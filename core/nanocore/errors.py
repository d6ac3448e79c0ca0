"""Every error a user can meet, in one message style: what happened (where): what to do.

Each class carries the exit code under which a command ends; `EXIT_CODES` is the documented list.
"""

from __future__ import annotations

import errno

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # of an OSError: the disk, a quota or a file-size limit is full
_REMEDIES = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space, for the quota is used up",
    errno.EFBIG: "raise the limit of file sizes (ulimit -f)",
    errno.EACCES: "check who may write there",
    errno.EPERM: "check who may write there",
    errno.EROFS: "make its file system writable",
    errno.EIO: "check the disk",
    errno.EISDIR: "move away the folder that lies in the place of a file",
    errno.ENOTDIR: "move away the file that lies in the place of a folder",
    errno.EEXIST: "move away what lies in its place",
    errno.ELOOP: "remove the symbolic link in its place",
    errno.ENXIO: "remove the pipe or device in its place",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "close other programs",
    errno.ENOMEM: "close other programs",
}
EXIT_CODES: dict[int, str] = {
    0: "done",
    1: "an unexpected error inside nanoconsole",
    2: "wrong usage, configuration or input data",
    3: "a validation check failed",
    4: "training diverged (non-finite loss or gradients)",
    5: "no checkpoint could be loaded, or something that was verified is broken",
    6: "out of memory, disk or another resource; output cannot be written",
    75: "the run is in use by another process",
    130: "interrupted by Ctrl-C, with a checkpoint, or before the first step; or Ctrl-C twice, and the stop stays in force",
    141: "nobody reads its output any more, as behind `| head`",
    143: "ended by SIGTERM, with a checkpoint",
}


class NanoError(Exception):
    """Base of all errors shown to a user as one line.

    `what` says what is wrong, `where` names the file, key or run, `fix` says what to do next.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        self.what, self.where, self.fix = what, where, fix
        super().__init__(what)

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        advice = f"; {self.fix}" if self.fix else ""
        return f"{place}{self.what}{advice}"


class ConfigError(NanoError):
    """The configuration cannot be used. `problems` holds one finished line for each fault."""

    exit_code = 2

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class UsageError(NanoError):
    """A command was called with something that does not exist or does not fit."""

    exit_code = 2


class DataError(NanoError):
    """The training text is missing, empty, unreadable or not what was trained on."""

    exit_code = 2


class FormatError(NanoError):
    """A file (GGUF, safetensors, .mhc) is damaged, or is not what it says it is."""

    exit_code = 2


class DivergedError(NanoError):
    """A loss or gradient became non-finite and the policy is to stop."""

    exit_code = 4


class CheckpointError(NanoError):
    """A checkpoint is missing, damaged, or belongs to another configuration."""

    exit_code = 5


class CheckpointWarning(UserWarning):
    """Told to Python users: a checkpoint that was to be loaded is damaged, and another one of its run was taken."""


class ResourceError(NanoError):
    """Memory, disk or device is exhausted."""

    exit_code = 6


class BusyError(NanoError):
    """Another process owns the run."""

    exit_code = 75


class StopRequested(NanoError):
    """A stop arrived in a phase in which there is nothing to save yet; ends under the signal's exit code."""

    def __init__(self, exit_code: int) -> None:
        super().__init__("stopped on request, before the first step")
        self.exit_code = exit_code


def remedy(error: OSError, otherwise: str = "") -> str:
    """What to do about an error of the system, by its number; `otherwise` is a way around it that the caller knows.

    "" where neither is known.
    """
    return ", or ".join(part for part in (_REMEDIES.get(error.errno or 0, ""), otherwise) if part)


def restored(kind: str, message: str, exit_code: int) -> NanoError:
    """The error that another process reported by the name of its class; a NanoError when it is none of these."""
    kinds = (UsageError, DataError, FormatError, DivergedError, CheckpointError, ResourceError, BusyError)
    known: dict[str, type[NanoError]] = {each.__name__: each for each in kinds}
    error = ConfigError(message.split("\n")) if kind == "ConfigError" else known.get(kind, NanoError)(message)
    error.exit_code = exit_code
    return error
