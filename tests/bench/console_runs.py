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

from nanocore.config.schema import Config
from nanocore.runs.create import create_run
from nanocore.runs.documents import write_document
from nanocore.runs.layout import RunFolder
from tests.bench.console_setting import LISTED, WIDE, Bench, line
from tests.run_helpers import status_of_me

RECORDS = 60  # of a run, some 50 KB: more than is read of its end
LONG_AGO = 3600.0  # seconds
Row = tuple[str, float, str, float | None]  # as `tests.bench.console` has it


def list_runs(bench: Bench) -> Iterator[Row]:
    """The screen and `runs list`, each from the start of its process."""
    root = lay_many(bench.folder / "many", bench.many)
    with bench.console(bench.run("small", 200).path.parent, noted=True) as terminal:  # its modules are compiled
        terminal.until(LISTED)
        terminal.rest(3)
    for words, kept in (("read anew", False), ("kept by the last console", True)):
        rounds = [_open(bench, root, kept=kept) for _ in range(max(1, bench.rounds // 2))]
        firsts, wholes, frames = (statistics.median(figures) for figures in zip(*rounds, strict=True))
        yield f"{bench.many:,} runs, {words}: newest screenful", firsts, "s", None
        yield f"{bench.many:,} runs, {words}: all", wholes, "s", None
        yield f"{bench.many:,} runs, {words}: longest frame meanwhile", 1e3 * frames, "ms", None
        for option in ((), ("--json",)):
            times = [_command(bench, root, option, kept=kept) for _ in range(max(1, bench.rounds // 2))]
            yield (
                f"{bench.many:,} runs, {words}: {' '.join(('runs list', *option))}",
                statistics.median(times),
                "s",
                None,
            )
    with bench.console(root) as terminal:
        terminal.until(LISTED)
        terminal.rest(10)
        yield f"{bench.many:,} runs: idle on Runs", 100 * terminal.busy(bench.seconds), "% of a core", None


def lay_many(root: Path, count: int) -> Path:
    """A root of that many finished runs: copies of one, each with a beginning of its own."""
    if root.exists():
        return root
    first = create_run(root, Config(), name="run-0000", preset="tiny-cpu")
    facts = json.loads(first.run_file.read_text())
    write_document(first.status_file, status_of_me(state="finished", phase="ended", step=RECORDS, steps=RECORDS))
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
        while not (whole := [note for note in bench.notes() if note["kind"] == "listed" and not note["unread"]]):
            terminal.rest(0.2)
        frames = [note["worst"] for note in bench.notes() if note["kind"] == "listed"][1:]
        terminal.rest(1)  # it writes down what it keeps
        return first, whole[0]["at"] - terminal.started, max(frames, default=0.0)


def _command(bench: Bench, root: Path, options: tuple[str, ...], *, kept: bool) -> float:
    """Seconds that `runs list` takes."""
    if not kept:
        shutil.rmtree(bench.cache, ignore_errors=True)
    words = [sys.executable, "-m", "nanoconsole", "--runs", str(root), "runs", "list", *options]
    begin = time.monotonic()
    subprocess.run(words, env={**os.environ, **bench.environment}, stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - begin
