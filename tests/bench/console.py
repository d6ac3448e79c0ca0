"""How quick the console is: python -m tests.bench.console [--rounds 5] [--records 1000000] [--seconds 10] [--many 3000] [--only NAME].

Each program runs in a terminal of its own, beside a small Textual app with widgets, in turn; medians are printed with
their ratio. Histories are invented and laid in a temporary folder. Prints a table, or with --json one document.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nanocore.runs.layout import RunFolder
from tests.bench.console_runs import list_runs
from tests.bench.console_setting import LISTED, NARROW, OPENED, Bench, line, open_live
from tests.bench.terminal import Terminal

TRAINER = "import os,numpy;os.nice(5);a=numpy.random.rand(256,256)\nwhile True: a@a"


HERTZ = 4  # looks and records a second
Row = tuple[str, float, str, float | None]  # what, how much, unit, the empty app's


def first_frame(bench: Bench) -> Iterator[Row]:
    """From the start of the process until text stands on the screen."""
    root = bench.run("small", 200).path.parent
    found: dict[str, list[float]] = {"console": [], "empty": []}
    for _ in range(1 + bench.rounds):  # the first time, modules are compiled
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
            shares = [(terminal.busy(bench.seconds), other.busy(1.0)) for _ in range(3)]
        rate = (terminal.received - before) / 3 / bench.seconds / 1e3
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
        listing, nothing = terminal.busy(bench.seconds), other.busy(bench.seconds)
        terminal.press("\r")
        terminal.until(OPENED)
        terminal.rest(3)
        yield "idle on Runs", 100 * listing, "% of a core", 100 * nothing
        yield "idle on Live", 100 * terminal.busy(bench.seconds), "% of a core", None


def attach(bench: Bench) -> Iterator[Row]:
    """From opening a run with very many records to its newest screenful, and to all of it."""
    for name, wide, records in (("million", False, bench.records), ("wide", True, bench.records // 10)):
        run = bench.run(name, records, wide=wide)
        firsts, wholes, opening, worst = [], [], [], []
        for _ in range(max(1, bench.rounds // 2)):
            with bench.console(run.path.parent, noted=True) as terminal:
                terminal.until(LISTED)
                terminal.rest(2)
                terminal.press("\r")
                end = time.monotonic() + 120
                while time.monotonic() < end and not _read_whole(bench.notes()):
                    terminal.rest(0.5)
            told = bench.notes()
            opened = next(note["at"] for note in told if note["kind"] == "opened")
            shown = [note for note in told if note["kind"] == "shown"]
            firsts.append(shown[0]["at"] - opened)
            wholes.append(next(note["at"] for note in shown if not note["reading"]) - opened)
            opening.append(shown[0]["worst"])
            worst += [note["worst"] for note in shown[1:] if note["at"] - opened <= wholes[-1]]
        what = f"{records:,} records of {32 if wide else len(NARROW)} metrics"
        yield f"{what}: newest screenful", statistics.median(firsts), "s", None
        yield f"{what}: all", statistics.median(wholes), "s", None
        yield f"{what}: longest frame, opening the screen", 1e3 * statistics.median(opening), "ms", None
        yield f"{what}: longest frame, reading", 1e3 * max(worst, default=0.0), "ms", None


def _read_whole(told: list[dict]) -> bool:
    return any(note["kind"] == "shown" and not note["reading"] for note in told)


def keys(bench: Bench) -> Iterator[Row]:
    """From a key to the first byte of the new frame, while two processes train."""
    run = bench.run("grows", 100_000)
    trainers = [subprocess.Popen([sys.executable, "-c", TRAINER]) for _ in range(2)]
    try:
        with bench.console(run.path.parent) as terminal, bench.empty() as other:
            open_live(terminal)
            other.until("READY")
            terminal.rest(5)
            found = [(_repaint(terminal), _repaint(other)) for _ in range(20 * bench.rounds)]
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
            start = 10_000 + part * bench.hour // 4
            with run.metrics_file.open("a") as file:
                for step in range(start, start + bench.hour // 4, 1000):
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement of processor time")
    parser.add_argument(
        "--hour", type=int, default=360_000, help="records of the replay: one a second, a hundred times"
    )
    parser.add_argument("--many", type=int, default=3000, help="runs in a list of very many")
    parser.add_argument("--only", choices=MEASURES, action="append", help="may be repeated")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(
            Path(folder), arguments.rounds, arguments.records, arguments.seconds, arguments.hour, arguments.many
        )
        for name in arguments.only or MEASURES:
            for row in MEASURES[name](bench):
                rows.append(row)
                if not arguments.json:
                    print(_shown(row), flush=True)
    if arguments.json:
        load = os.getloadavg()[0]
        print(
            json.dumps(
                {
                    "load": load,
                    "rows": [dict(zip(("what", "value", "unit", "empty"), row, strict=True)) for row in rows],
                },
                indent=2,
            )
        )


def _shown(row: Row) -> str:
    what, value, unit, other = row
    beside = f"   empty app {other:.3g} {unit}, ratio {value / other:.2f}" if other and other > 1e-3 else ""
    return f"{what:<68} {value:9.3g} {unit}{beside}"


if __name__ == "__main__":
    main()
