"""Why a trainer ended that could not say it itself: exit status if anybody saw it, else its last words."""

from __future__ import annotations

import re
import signal

from nanocore.runs.layout import RunFolder
from nanocore.runs.log import last_lines
from nanocore.runs.records import Record, read_all
from nanocore.runs.status import Status

_FATAL = re.compile(r"^Fatal Python error: (.+)$")  # faulthandler's first line
_ERROR = re.compile(r"^[A-Za-z_][\w.]*(Error|Exception|Interrupt|Exit)\b")
_OWN = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ")  # a line of the trainer's log, but not of a trace
_LINES = 1000  # a trace has up to 100 for each thread
_SIGNALS = {
    "Segmentation fault": "SIGSEGV",
    "Aborted": "SIGABRT",
    "Bus error": "SIGBUS",
    "Illegal instruction": "SIGILL",
}


def exit_words(code: int) -> str:
    """Plain words for a return code of `subprocess`: negative is a signal."""
    if code >= 0:
        return f"it ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    memory = ", perhaps because memory ran out" if name == "SIGKILL" else ""
    return f"killed by {name}{memory}"


def cause_of_death(run: RunFolder, status: Status) -> str:
    """One line of plain words: exit code or signal when known, and the last line of the log that explains it."""
    log = last_lines(run.log_file, _LINES)
    lines = _last_words(log)
    code = witnessed_exit(run, status.attempt)
    fatal = next((match.group(1) for line in reversed(lines) if (match := _FATAL.match(line))), "")
    error = next((line for line in reversed(lines) if _ERROR.match(line)), "")
    if code is not None:
        said = error if code > 0 else ""
        return f"{exit_words(code)}{': ' if said else ''}{said}"
    if fatal:
        name = _SIGNALS.get(fatal, "")
        return f"killed by {name}" if name else fatal
    if error:
        return error
    return f"it ended without a word (killed, or memory ran out); last line of its log: {log[-1] if log else 'none'}"


def _last_words(lines: list[str]) -> list[str]:
    """What stands behind the trainer's own last line: a fault's trace, and nothing of an earlier attempt."""
    own = next((place for place in range(len(lines), 0, -1) if _OWN.match(lines[place - 1])), 0)
    return lines[own:]


def known_exit(run: RunFolder, status: Status) -> int | None:
    """The return code of an attempt by its own last word, else by the console that launched it; None when nobody knows."""
    return witnessed_exit(run, status.attempt) if status.exit_code is None else status.exit_code


def witnessed_exit(run: RunFolder, attempt: int) -> int | None:
    """The return code that the console which launched the attempt saw, or None."""
    for record in reversed(read_all(run.events_file, keep=1 << 16)):
        if _is_witness(record, attempt):
            return record["exit_code"]
    return None


def _is_witness(record: Record, attempt: int) -> bool:
    return record.get("kind") == "crashed" and record.get("attempt") == attempt and type(record.get("exit_code")) is int
