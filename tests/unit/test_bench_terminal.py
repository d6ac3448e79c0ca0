"""What `bench console` measures with: a program in a terminal of its own, read, timed, and ended."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nanoconsole.bench.console import TRAINER
from nanoconsole.bench.setting import NARROW, Bench, Scale, line
from nanoconsole.bench.terminal import Terminal
from nanocore.errors import NanoError
from nanocore.runs.liveness import observe
from nanocore.runs.records import read_all

ECHO = "import sys, time\nprint('size', *__import__('os').get_terminal_size(), flush=True)\nfor line in sys.stdin: print('heard', line, flush=True)"  # fmt: skip
BUSY = "print('READY', flush=True)\nwhile True: pass"


def test_a_program_paints_hears_keys_and_is_ended() -> None:
    with Terminal(["-c", ECHO], {}, size=(90, 30)) as terminal:
        assert terminal.until("size 90 30") > terminal.started
        pressed = terminal.press("hello\n")
        assert terminal.until("heard hello") >= pressed and terminal.received > 20
        process = terminal.process
    assert not process.is_running()


def test_its_processor_time_is_counted() -> None:
    with Terminal(["-c", BUSY], {}) as busy, Terminal(["-c", ECHO], {}) as idle:
        busy.until("READY")
        idle.until("size")
        assert busy.busy(0.5) > idle.busy(0.5)


def test_what_ends_or_never_paints_is_told_in_one_line() -> None:
    with Terminal(["-c", "print('good\\x1b[2Jbye')"], {}) as terminal:
        with pytest.raises(NanoError, match=r"ended by itself; it painted last: .*bye") as ended:
            terminal.until("never")
        assert "\x1b" not in str(ended.value) and "\n" not in str(ended.value)
    with Terminal(["-c", ECHO], {}) as terminal, pytest.raises(NanoError, match="'never' was not painted"):
        terminal.until("never", 0.3)


def test_an_invented_run_reads_like_a_trained_one(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Scale(1, 10, 0.1, 10, 2))
    run = bench.run("small", 5)
    assert observe(run).state == "finished" and bench.notes() == []
    records = read_all(run.metrics_file)
    assert [record["step"] for record in records] == [1, 2, 3, 4, 5] and set(NARROW) <= records[0].keys()
    wide = read_all(bench.run("wide", 2, wide=True).metrics_file)
    assert sum(isinstance(value, float) and "/" in key for key, value in wide[0].items()) == 32
    assert json.loads(line(9, ["a"]))["step"] == 9 and bench.run("small", 5) == run


def test_the_stand_in_for_training_ends_with_who_started_it() -> None:
    start = "import os, subprocess, sys; subprocess.Popen([sys.executable, '-c', sys.argv[1], str(os.getpid())])"
    limited = f"import resource; resource.setrlimit(resource.RLIMIT_CPU, (60, 60)); {start}"  # should it not end
    with Terminal(["-c", limited, TRAINER], {}) as terminal, pytest.raises(NanoError, match="ended by itself"):
        terminal.until("never", 20)  # the terminal is closed when the last program that holds it has ended
