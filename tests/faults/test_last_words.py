"""What a trainer leaves when it dies: its log within bounds, its last lines, its trace, and the reason in words."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nanocore.runs import log
from nanocore.runs.liveness import observe
from nanocore.runs.log import last_lines
from nanocore.runs.status import StatusWriter
from tests import command_line
from tests.command_line import Nano
from tests.forked import start_real
from tests.run_helpers import exit_code, make_run, status_of, wait_for
from tests.techniques import SMALL
from tests.tiny import new_run

nano = command_line.nano

# A trainer in which importing torch fails, as with a broken installation.
BROKEN = """
import sys
from importlib.machinery import ModuleSpec
class Torch:
    def find_spec(self, name, path=None, target=None):
        return ModuleSpec(name, self) if name == "torch" else None
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        raise ImportError("libtorch_cpu.so: cannot open shared object file \\x1b[2J[/]")
sys.meta_path.insert(0, Torch())
from nanocore.train.__main__ import main
sys.exit(main([sys.argv[1]]))
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NANOCONSOLE_CACHE", str(tmp_path / "cache"))


def test_a_trainer_that_cannot_import_what_it_needs_says_so_and_runs_show_prints_the_trace(
    tmp_path: Path, nano: Nano
) -> None:
    run = new_run(tmp_path / "runs")
    with run.log_file.open("ab") as output:
        done = subprocess.run(
            [sys.executable, "-c", BROKEN, str(run.path)], stdout=output, stderr=output, timeout=60, check=False
        )
    assert done.returncode == 1
    state = observe(run)
    assert (state.state, state.reason[:30]) == ("crashed", "unexpected error: ImportError:")
    shown = nano("--runs", str(tmp_path / "runs"), "runs", "show", run.name).out
    assert "Traceback (most recent call last)" in shown and "libtorch_cpu.so: cannot open" in shown
    assert "\x1b" not in shown and "[/]" in shown


@pytest.mark.parametrize(("action", "number"), [("segv", signal.SIGSEGV), ("abort", signal.SIGABRT)])
def test_a_fault_inside_a_library_leaves_its_stack_and_is_named(
    tmp_path: Path, action: str, number: signal.Signals
) -> None:
    run = new_run(tmp_path, *SMALL)
    assert exit_code(start_real(run, fail=f"train.micro:3:{action}")) == -number
    assert observe(run).reason == f"killed by {number.name}"
    text = run.log_file.read_text()
    assert "Fatal Python error" in text and "step.py" in text


def test_the_fault_of_an_earlier_attempt_is_not_the_cause_of_a_later_end(tmp_path: Path) -> None:
    run = new_run(tmp_path, *SMALL)
    assert exit_code(start_real(run, fail="train.micro:3:segv")) == -signal.SIGSEGV
    assert exit_code(start_real(run, fail="train.micro:3:kill")) == -signal.SIGKILL
    assert "SIGSEGV" not in observe(run).reason
    assert "memory ran out" in observe(run).reason


def test_a_flood_is_cut_while_no_step_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The heart beats, and keeps the log within its bound, whatever the main thread is caught in."""
    monkeypatch.setattr("nanocore.runs.status.HEARTBEAT", 0.01)
    monkeypatch.setattr(log, "MAX_LOG", 1 << 20)
    monkeypatch.setattr(log.cap_log, "__defaults__", (1 << 20,))
    run = make_run(tmp_path)
    output = os.open(run.log_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(output, b"".join(b"line %d\n" % number for number in range(300_000)))
    writer = StatusWriter(run, attempt=1)  # a cut in the midst of one write would lose the rest of it
    wait_for(lambda: 0 < run.log_file.stat().st_size <= log.KEPT, "the cut")
    wait_for(lambda: last_lines(run.log_file, 1) == ["line 299999"])
    os.write(output, b"the last word\n")
    assert last_lines(run.log_file, 2) == ["line 299999", "the last word"]
    assert log.LogTail(run.log_file).read()[0].startswith("line ")
    writer.finish("finished", 0)
    assert status_of(run).state == "finished"
