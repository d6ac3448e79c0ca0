"""What was read of a root's ended runs, kept in the user's cache folder for the next start of a console.

It saves reading thousands of files; whoever loses it only waits longer. So a file that is damaged, of another version or
another user's is no error: the runs are read. It is used for what the list shows and for nothing else. A run is taken
from it only while nobody holds its lock and every file that its row is made of is the one that was read.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import msgspec

from nanoconsole.services.known_run import Known, Stamps
from nanoconsole.services.listed import Listed
from nanoconsole.services.run_listing import SETTLED
from nanocore.files import read_regular
from nanocore.runs.documents import replace_file
from nanocore.runs.facts import RunFacts
from nanocore.runs.layout import RunFolder, run_lists
from nanocore.runs.liveness import lock_owner
from nanocore.runs.notes import Notes
from nanocore.runs.stall import StallWatch
from nanocore.runs.status import FINAL_STATES
from nanocore.runs.summary import Measured, Summary
from nanocore.runs.text import sanitize

SCHEMA = 1  # goes up with every change of what is kept, and of how it is made from a run's files
FEWEST = 64  # runs read anew from which on a file is written, and runs of a root from which on one is looked for
LARGEST = 16 << 20  # bytes of a file: some ten thousand runs
MOST_FILES = 16  # of them, each of one root
_HEAD = b"nanoconsole run list %d\n" % SCHEMA
_BROKEN = (ValueError, RecursionError, msgspec.MsgspecError)


class Kept(msgspec.Struct, frozen=True):
    """What is kept of a run; of `measured` all but the losses, which nobody needs before the file has grown."""

    stamps: Stamps
    summary: Summary
    measured: Measured
    notes: Notes
    trend: float | None
    last_words: str
    spark: tuple[float, ...]


_DECODER = msgspec.msgpack.Decoder(Kept)
_INDEX = msgspec.msgpack.Decoder(dict[str, msgspec.Raw])


class RunCache:
    """The kept runs of one root: read at first, written by `save` when enough of them had to be read anew."""

    def __init__(self, root: Path) -> None:
        self._path = run_lists() / _sum(os.fsencode(root.absolute())).hex()[:32]
        self._index = _load(self._path)
        self._kept: dict[str, msgspec.Raw] = {}
        self._anew = 0

    def find(self, run: RunFolder, origin: str) -> Known | None:
        """A run as it was read, None when it has to be read."""
        raw = self._index.get(run.name)
        kept = _decoded(raw, run) if raw is not None else None
        if raw is None or kept is None or kept.stamps != Stamps.of(run) or lock_owner(run) is not None:
            return None
        self._kept[run.name] = raw
        listed = Listed(
            kept.summary,
            run,
            kept.trend,
            kept.last_words,
            origin,
            kept.notes,
            "",
            kept.spark,
            kept.measured.newest,
        )
        return Known(listed, RunFacts(), kept.measured, kept.stamps, StallWatch())

    def add(self, run: RunFolder, known: Known) -> None:
        """Keep a run that was just read, if it ended and its files have been at rest for some time."""
        listed, newest = known.listed, max(each[2] for each in known.stamps)
        settled = newest / 1e9 < time.time() - SETTLED  # else a change could leave size and time as they are
        if settled and known.ended:
            measured = replace(known.measured, losses=())
            facts = (known.stamps, listed.summary, measured, listed.notes, listed.trend, listed.last_words)
            self._kept[run.name] = msgspec.Raw(msgspec.msgpack.encode(Kept(*facts, listed.spark)))
            self._anew += 1

    def save(self) -> None:
        """Write down all runs that were found or added, the first ones if they are too many; nothing if it cannot be."""
        if self._anew < FEWEST:
            return
        body = msgspec.msgpack.encode(_within(self._kept))
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            replace_file(self._path, _HEAD + _sum(body) + body, durable=False, mode=0o600)
            _sweep(self._path.parent)


def _sum(data: bytes | memoryview) -> bytes:
    """SHA-256, 32 bytes."""
    import hashlib  # the first frame of a console over few runs does not wait for it

    return hashlib.sha256(data).digest()


def _load(path: Path) -> Mapping[str, msgspec.Raw]:
    """What a file keeps of each run by its name; {} when it is no whole file of this version and user."""
    try:
        facts = path.lstat()
        raw = memoryview(read_regular(path, LARGEST, follow=False))
    except OSError:
        return {}
    end = len(_HEAD) + 32
    sound = raw[: len(_HEAD)] == _HEAD and raw[len(_HEAD) : end] == _sum(raw[end:])
    if not sound or facts.st_uid != os.geteuid() or facts.st_mode & 0o022:
        return {}
    try:
        return _INDEX.decode(raw[end:])
    except _BROKEN:
        return {}


def _decoded(raw: msgspec.Raw, run: RunFolder) -> Kept | None:
    """What was kept of a run; None for anything that `RunCache.add` would not have kept so."""
    try:
        kept = _DECODER.decode(raw)
    except _BROKEN:
        return None
    summary = kept.summary
    ended = summary.state in FINAL_STATES and not summary.alive and summary.eta is None
    sound = min(summary.step, summary.steps, summary.tokens, kept.measured.step) >= 0 and math.isfinite(summary.created)
    return kept if ended and sound and summary.name == run.name and _is_safe(kept) else None


def _is_safe(kept: Kept) -> bool:
    """Whether every text is as it is after the sanitiser, and on one line where it should be."""
    summary, notes = kept.summary, kept.notes
    texts = (summary.phase, summary.preset, summary.message, kept.last_words, *notes.tags, notes.note, notes.problem)
    lines, names = " ".join(texts), " ".join(kept.measured.newest)
    return "\n" not in lines and sanitize(lines) == lines and sanitize(names) == names


def _within(kept: Mapping[str, msgspec.Raw]) -> dict[str, msgspec.Raw]:
    """As many of the first ones as a file may hold."""
    found: dict[str, msgspec.Raw] = {}
    room = LARGEST - 1024
    for name, raw in kept.items():
        room -= len(memoryview(raw)) + len(name) + 16
        if room < 0:
            break
        found[name] = raw
    return found


def _sweep(folder: Path) -> None:
    """Keep the files that were written last. Raises OSError."""
    files = sorted(folder.iterdir(), key=lambda path: path.lstat().st_mtime, reverse=True)
    for path in files[MOST_FILES:]:
        path.unlink(missing_ok=True)
