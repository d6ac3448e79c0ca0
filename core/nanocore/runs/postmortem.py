"""Why a trainer ended that could not say it itself: exit status if anybody saw it, else its last words."""

from __future__ import annotations

import math
import re
import signal
import time

from nanocore.runs.layout import RunFolder
from nanocore.runs.log import last_lines
from nanocore.runs.records import Record, read_all
from nanocore.runs.status import Status
from nanocore.runs.text import sanitize_line

CRASHED, KILLED = "crashed", "killed"  # events of an end: by the trainer or who launched it, by who asked for the kill
_FATAL = re.compile(r"^Fatal Python error: (.+)$")  # faulthandler's first line
_ERROR = re.compile(r"^[A-Za-z_][\w.]*(Error|Exception|Interrupt|Exit)\b")
_STAMP = "%Y-%m-%d %H:%M:%S"
# A line that the trainer wrote itself, unlike those of a trace: time, level, message.
_OWN = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (\w+)\s+step +\d+:? *(.*)$")
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
    """One line of plain words: what was said of the end, else exit code or signal with what the log says of it."""
    ends = _ends(run, status.attempt)
    if told := next((text for record in reversed(ends) if type(text := record.get("message")) is str and text), ""):
        return sanitize_line(told)
    log = last_lines(run.log_file, _LINES)
    lines, code = _last_words(log), _seen(ends)
    fatal = next((match.group(1) for line in reversed(lines) if (match := _FATAL.match(line))), "")
    error = _own_error(run, status, log) or next((line for line in reversed(lines) if _ERROR.match(line)), "")
    if code is not None:
        said = error or "".join(lines[-1:]).removeprefix(f"{run.name}: ") if code > 0 else ""
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


def _own_error(run: RunFolder, status: Status, log: list[str]) -> str:
    """The error with which the trainer's own lines end, "" when they end otherwise or an earlier process wrote them.

    Warnings may follow it, as when a full disk also ends the TensorBoard output.
    """
    own = (match for line in reversed(log) if (match := _OWN.match(line)) and match[2] != "WARNING")
    last = next(own, None)
    if last is None or last[2] != "ERROR" or _moment(last[1]) < _began(run, status.pid):
        return ""
    return last[3]


def _began(run: RunFolder, pid: int) -> float:
    """When the process `pid` said in the events that it had started, in whole seconds; never where it did not."""
    started = (record for record in reversed(_newest(run)) if record.get("kind") == "started")
    times = [record.get("time") for record in started if record.get("pid") == pid]
    return math.floor(times[0]) if times and type(times[0]) is float and math.isfinite(times[0]) else math.inf


def _moment(stamp: str) -> float:
    """Unix time of a line of the log, in whole seconds; long ago for one that is none."""
    try:
        return time.mktime(time.strptime(stamp, _STAMP))
    except (ValueError, OverflowError):
        return -math.inf


def known_exit(run: RunFolder, status: Status) -> int | None:
    """The return code of an attempt by its own last word, else by the console that launched it; None when nobody knows."""
    return witnessed_exit(run, status.attempt) if status.exit_code is None else status.exit_code


def witnessed_exit(run: RunFolder, attempt: int) -> int | None:
    """The return code that the console which launched the attempt saw, or None."""
    return _seen(_ends(run, attempt))


def _seen(ends: list[Record]) -> int | None:
    """The return code in the newest event of an end that has one."""
    codes = (record.get("exit_code") for record in reversed(ends))
    return next((code for code in codes if type(code) is int), None)


def _ends(run: RunFolder, attempt: int) -> list[Record]:
    """The events that tell of the end of an attempt."""
    return [each for each in _newest(run) if each.get("kind") in (CRASHED, KILLED) and each.get("attempt") == attempt]


def _newest(run: RunFolder) -> list[Record]:
    return read_all(run.events_file, keep=1 << 16)
