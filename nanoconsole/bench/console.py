"""`bench console`: how quick the console is, beside a small Textual app with widgets, which is measured in turn.

Each program runs in a terminal of its own; medians count. Histories are invented and laid in a temporary folder.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nanoconsole.bench.runs import list_runs
from nanoconsole.bench.setting import LISTED, NARROW, OPENED, WIDE, Bench, Scale, line, open_live
from nanoconsole.bench.terminal import Terminal
from nanocore.bench.host import host_facts, warnings
from nanocore.errors import DISK_FULL, NanoError, ResourceError
from nanocore.runs.layout import RunFolder

PACKAGES = ("nanoconsole", "textual", "rich", "numpy", "msgspec")
FULL, QUICK = Scale(5, 1_000_000, 10.0, 360_000, 3000), Scale(1, 20_000, 0.5, 4_000, 30)
PATIENCE = 120.0  # seconds for a history to be read
# Stands for a run that trains, and ends with the process whose number it is given.
TRAINER = """
import os, sys, numpy
os.nice(5)
square = numpy.random.rand(256, 256)
while os.getppid() == int(sys.argv[1]):
    square @ square
"""
HERTZ = 4  # looks and records a second
LEAST = 1e-3  # of the empty app, below which a ratio to it says nothing
Row = tuple[str, float, str, float | None]  # what, how much, unit, the empty app's


def first_frame(bench: Bench) -> Iterator[Row]:
    """From the start of the process until text stands on the screen."""
    root = bench.run("small", 200).path.parent
    found: dict[str, list[float]] = {"console": [], "empty": []}
    for _ in range(1 + bench.scale.rounds):  # the first time, modules are compiled
        with bench.empty() as terminal:
            found["empty"].append(terminal.until("READY") - terminal.started)
        with bench.console(root) as terminal:
            found["console"].append(terminal.until("Runs") - terminal.started)
    ours, theirs = (statistics.median(found[name][1:]) for name in ("console", "empty"))
    yield "first frame", 1e3 * ours, "ms", 1e3 * theirs


def charts(bench: Bench) -> Iterator[Row]:
    """Four charts over 100,000 points each, four new records a second."""
    run = bench.run("grows", 100_000)
    with bench.console(run.path.parent, hertz=HERTZ) as terminal, bench.empty() as other:
        open_live(terminal)
        terminal.rest(4)
        before = terminal.received
        with _growing(run, 100_000):
            shares = [(terminal.busy(bench.scale.seconds), other.busy(1.0)) for _ in range(3)]
        rate = (terminal.received - before) / 3 / bench.scale.seconds / 1e3
    yield f"4 charts at {HERTZ} Hz", 100 * statistics.median(a for a, _ in shares), "% of a core", None
    yield "bytes to the terminal", rate, "kB/s", None


@contextmanager
def _growing(run: RunFolder, step: int) -> Iterator[None]:
    done = threading.Event()

    def write() -> None:
        at = step
        with run.metrics_file.open("a", buffering=1) as file:
            while not done.wait(1 / HERTZ):
                at += 1
                file.write(line(at, NARROW))

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def idle(bench: Bench) -> Iterator[Row]:
    """Nothing happens, on the list and on Live."""
    run = bench.run("small", 200)
    with bench.console(run.path.parent) as terminal, bench.empty() as other:
        terminal.until(LISTED)
        other.until("READY")
        terminal.rest(3)
        listing, nothing = terminal.busy(bench.scale.seconds), other.busy(bench.scale.seconds)
        terminal.press("\r")
        terminal.until(OPENED)
        terminal.rest(3)
        yield "idle on Runs", 100 * listing, "% of a core", 100 * nothing
        yield "idle on Live", 100 * terminal.busy(bench.scale.seconds), "% of a core", None


def attach(bench: Bench) -> Iterator[Row]:
    """From opening a run with very many records to its newest screenful, and to all of it."""
    for name, wide, records in (("million", False, bench.scale.records), ("wide", True, bench.scale.records // 10)):
        run = bench.run(name, records, wide=wide)
        found = [_opening(bench, run) for _ in range(max(1, bench.scale.rounds // 2))]
        firsts, wholes, opening, worst = zip(*found, strict=True)
        what = f"{records:,} records of {len(WIDE if wide else NARROW)} metrics"
        yield f"{what}: newest screenful", statistics.median(firsts), "s", None
        yield f"{what}: all", statistics.median(wholes), "s", None
        yield f"{what}: longest frame, opening the screen", 1e3 * statistics.median(opening), "ms", None
        yield f"{what}: longest frame, reading", 1e3 * max(worst), "ms", None


def _opening(bench: Bench, run: RunFolder) -> tuple[float, float, float, float]:
    """Seconds until the newest screenful of a run is shown, and all of it; the longest frame at first, and after that."""
    with bench.console(run.path.parent, noted=True) as terminal:
        terminal.until(LISTED)
        terminal.rest(2)
        terminal.press("\r")
        told = _read_whole(bench, terminal)
    opened = next(note["at"] for note in told if note["kind"] == "opened")
    shown = [note for note in told if note["kind"] == "shown"]
    whole = next(note["at"] for note in shown if not note["reading"]) - opened
    worst = max((note["worst"] for note in shown[1:] if note["at"] - opened <= whole), default=0.0)
    return shown[0]["at"] - opened, whole, shown[0]["worst"], worst


def _read_whole(bench: Bench, terminal: Terminal) -> list[dict[str, Any]]:
    """What the console noted until all of a history was shown. Raises NanoError when that does not come."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        told = bench.notes()
        if any(note["kind"] == "shown" and not note["reading"] for note in told):
            return told
        terminal.rest(0.5)
    raise NanoError(f"a history was not read within {PATIENCE:.0f} s", fix="measure on a machine that is less busy")


def keys(bench: Bench) -> Iterator[Row]:
    """From a key to the first byte of the new frame, while two processes train."""
    run = bench.run("grows", 100_000)
    trainers = [subprocess.Popen([sys.executable, "-c", TRAINER, str(os.getpid())]) for _ in range(2)]
    try:
        with bench.console(run.path.parent) as terminal, bench.empty() as other:
            open_live(terminal)
            other.until("READY")
            terminal.rest(5)
            found = [(_repaint(terminal), _repaint(other)) for _ in range(20 * bench.scale.rounds)]
    finally:
        for trainer in trainers:
            trainer.kill()
            trainer.wait()
    for label, share in (("median", 50), ("p95", 95)):
        ours, theirs = (
            sorted(times)[min(len(times) - 1, len(times) * share // 100)] for times in zip(*found, strict=True)
        )
        yield f"key to repaint, {label}", 1e3 * ours, "ms", 1e3 * theirs


def _repaint(terminal: Terminal) -> float:
    terminal.rest(0.15)
    pressed = terminal.press("y")
    while not terminal.read(1.0):
        pass
    return time.monotonic() - pressed


def memory(bench: Bench) -> Iterator[Row]:
    """An hour of records at a hundred times their pace: what memory grows by beyond the numbers that are kept."""
    run = bench.run("hour", 10_000)
    with bench.console(run.path.parent, noted=True) as terminal:
        open_live(terminal)
        terminal.rest(4)
        marks = []
        for part in range(4):
            start = 10_000 + part * bench.scale.hour // 4
            with run.metrics_file.open("a") as file:
                for step in range(start, start + bench.scale.hour // 4, 1000):
                    file.writelines(line(each, NARROW) for each in range(step + 1, step + 1001))
                    file.flush()
                    terminal.rest(0.05)
            terminal.rest(3)
            marks.append((terminal.process.memory_info().rss, bench.notes()[-1]["bytes"]))
    yield "memory after a quarter", marks[0][0] / 2**20, "MiB", None
    yield "memory after all", marks[-1][0] / 2**20, "MiB", None
    yield "of that, numbers kept", (marks[-1][1] - marks[0][1]) / 2**20, "MiB more", None
    run.metrics_file.write_text("")


MEASURES: dict[str, Callable[[Bench], Iterator[Row]]] = {
    "first-frame": first_frame, "idle": idle, "charts": charts, "attach": attach, "keys": keys, "memory": memory,
    "runs": list_runs,
}  # fmt: skip


def bench_console(parts: Sequence[str], scale: Scale, progress: Callable[[str], None]) -> dict[str, Any]:
    """A row for each figure of the named parts of MEASURES; plain data.

    Raises NanoError when a program does not answer, ResourceError when the histories do not fit on the disk.
    """
    found = host_facts(PACKAGES)
    rows: list[Row] = []
    try:
        with tempfile.TemporaryDirectory(prefix="nanoconsole-bench-") as folder:
            for name in parts:
                progress(name)
                rows += MEASURES[name](Bench(Path(folder), scale))
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        fix = "set TMPDIR to a folder with a gigabyte free"
        raise ResourceError("the disk is full", where=tempfile.gettempdir(), fix=fix) from None
    return {
        "machine": found,
        "warnings": warnings(found),
        "scale": asdict(scale),
        "rows": [_plain(*row) for row in rows],
    }


def _plain(figure: str, value: float, unit: str, other: float | None) -> dict[str, Any]:
    ratio = value / other if other and other > LEAST else None
    return {"figure": figure, "value": value, "unit": unit, "empty_app": other, "ratio": ratio}
