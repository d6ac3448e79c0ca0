"""How quick the list of runs is over thousands of them: read anew, with what the last console kept of them, and open."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nanoconsole.bench.setting import CONSOLE, LISTED, WIDE, Bench, finished, line
from nanocore.config.schema import Config
from nanocore.runs.create import create_run
from nanocore.runs.documents import write_document
from nanocore.runs.layout import RunFolder

RECORDS = 60  # of a run, some 50 KB: more than is read of its end
LONG_AGO = 3600.0  # seconds
LONGEST = 600.0  # seconds until a list is whole, on any machine
Row = tuple[str, float, str, float | None]  # as nanoconsole.bench.console has it


def list_runs(bench: Bench) -> Iterator[Row]:
    """The screen and `runs list`, each from the start of its process."""
    root = lay_many(bench.folder / "many", bench.scale.many)
    with bench.console(bench.run("small", 200).path.parent, noted=True) as terminal:  # its modules are compiled
        terminal.until(LISTED)
        terminal.rest(3)
    rounds = range(max(1, bench.scale.rounds // 2))
    runs = f"{bench.scale.many:,} runs"
    for words, kept in (("read anew", False), ("kept by the last console", True)):
        opened = [_open(bench, root, kept=kept) for _ in rounds]
        firsts, wholes, frames = (statistics.median(figures) for figures in zip(*opened, strict=True))
        yield f"{runs}, {words}: newest screenful", firsts, "s", None
        yield f"{runs}, {words}: all", wholes, "s", None
        yield f"{runs}, {words}: longest frame meanwhile", 1e3 * frames, "ms", None
        for verb in (("runs", "list"), ("runs", "list", "--json")):
            times = [_command(bench, root, verb, kept=kept) for _ in rounds]
            yield f"{runs}, {words}: {' '.join(verb)}", statistics.median(times), "s", None
    with bench.console(root) as terminal:
        terminal.until(LISTED)
        terminal.rest(10)
        yield f"{runs}: idle on Runs", 100 * terminal.busy(bench.scale.seconds), "% of a core", None


def lay_many(root: Path, count: int) -> Path:
    """A root of that many finished runs: copies of one, each with a beginning of its own."""
    if root.exists():
        return root
    first = create_run(root, Config(), name="run-0000", preset="tiny-cpu")
    facts = json.loads(first.run_file.read_text())
    write_document(first.status_file, finished(RECORDS))
    first.metrics_file.write_text("".join(line(step, WIDE) for step in range(1, RECORDS + 1)))
    first.events_file.write_text("".join(f'{{"schema":1,"kind":"eval","step":{step},"eval/bits_per_byte":2.5}}\n' for step in range(1, 20)))  # fmt: skip
    first.log_file.write_text("".join(f"2026-11-22 12:00:00 INFO step {step}\n" for step in range(1, RECORDS + 1)))
    files = {path.name: path.read_bytes() for path in first.path.iterdir() if path.is_file()}
    for number in range(count):
        run = RunFolder(root / f"run-{number:04d}")
        run.path.mkdir(exist_ok=True)
        for name, content in files.items():
            (run.path / name).write_bytes(content)
        run.run_file.write_text(json.dumps({**facts, "name": run.name, "created": facts["created"] - 60 * number}))
        _age(run.path, time.time() - LONG_AGO - number)
    return root


def _age(folder: Path, moment: float) -> None:
    """Let a folder and its files be as old as that."""
    for path in (*folder.iterdir(), folder):
        os.utime(path, (moment, moment))


def _open(bench: Bench, root: Path, *, kept: bool) -> tuple[float, float, float]:
    """Seconds until the first and until all runs are on the screen, and the longest frame after the first."""
    if not kept:
        shutil.rmtree(bench.cache, ignore_errors=True)
    with bench.console(root, noted=True) as terminal:
        first = terminal.until(LISTED) - terminal.started
        terminal.wait(lambda: any(not note["unread"] for note in _listed(bench)), "the whole list", LONGEST)
        whole = next(note["at"] for note in _listed(bench) if not note["unread"])
        frames = [note["worst"] for note in _listed(bench)][1:]
        terminal.rest(1)  # it writes down what it keeps
        return first, whole - terminal.started, max(frames, default=0.0)


def _listed(bench: Bench) -> list[dict[str, Any]]:
    """What the console noted of each list that it showed."""
    return [note for note in bench.notes() if note["kind"] == "listed"]


def _command(bench: Bench, root: Path, verb: tuple[str, ...], *, kept: bool) -> float:
    """Seconds that a command takes."""
    if not kept:
        shutil.rmtree(bench.cache, ignore_errors=True)
    words = [sys.executable, *CONSOLE, "--runs", str(root), *verb]
    begin = time.monotonic()
    subprocess.run(words, env={**os.environ, **bench.environment}, stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - begin
