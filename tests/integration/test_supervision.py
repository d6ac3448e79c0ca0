"""A trainer lives on its own: it outlives its console, obeys commands, and its end is understood."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nanocore.checkpoint.manifest import latest
from nanocore.runs.curve import newest_attempts
from nanocore.runs.layout import RunFolder
from nanocore.runs.liveness import observe
from nanocore.runs.log import LogTail, last_lines
from nanocore.runs.records import read_all
from nanocore.runs.spawn import spawn_trainer
from nanocore.runs.status import read_status
from nanocore.runs.steer import request
from nanocore.runs.summary import summarize
from tests.run_helpers import ended, events_of, start_fake, steps_of, trained, wait_for

LONG = 1_000_000
ROOT = Path(__file__).parents[2]
SPAWNER = f"""
import sys, time
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from nanocore.runs.layout import RunFolder
from nanocore.runs.spawn import spawn_trainer
spawn_trainer(RunFolder(Path(sys.argv[1])), module="tests.fake_trainer", threads=1)
time.sleep(60)
"""


def _on_a_terminal(command: list[str]) -> tuple[int, int]:
    """Run a command as leader of a new terminal session, as a shell's window does; its pid and the terminal."""
    child, terminal = pty.fork()
    if child == 0:
        os.execv(command[0], command)
    return child, terminal


def test_a_trainer_steps_back_for_other_programs_and_its_session_too(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kernels that share processors out between sessions look at the niceness of a session first."""
    monkeypatch.setenv("FAKE_STEPS", str(LONG))
    pid, own = spawn_trainer(run, module="tests.fake_trainer", threads=1, nice=3), os.getpriority(os.PRIO_PROCESS, 0)
    assert os.getpriority(os.PRIO_PROCESS, pid) == min(19, own + 3)
    session = Path(f"/proc/{pid}/autogroup")
    assert not session.is_file() or session.read_text().split()[-2:] == ["nice", str(min(19, own + 3))]
    os.kill(pid, signal.SIGKILL)
    ended(run)


@pytest.mark.parametrize("ending", ["kill -9", "terminal closed", "ctrl-c"])
def test_a_trainer_outlives_its_console_and_another_one_sees_all(
    run: RunFolder, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_STEPS", str(LONG))
    console, terminal = _on_a_terminal([sys.executable, "-c", SPAWNER, str(run.path)])
    trained(run)
    if ending == "kill -9":
        os.kill(console, signal.SIGKILL)
    elif ending == "ctrl-c":
        os.write(terminal, b"\x03")
    if ending != "ctrl-c":
        os.close(terminal)
    os.waitpid(console, 0)
    trained(run, 10)
    state = observe(run)
    assert (state.state, state.alive) == ("running", True)
    assert os.getsid(state.pid) == state.pid
    request(run, "stop")
    assert ended(run) == "stopped"
    steps = steps_of(run)
    assert steps == list(range(1, len(steps) + 1))
    assert summarize(run).step == steps[-1]


def test_launching_shows_at_once_and_the_run_finishes(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    pid = start_fake(run, monkeypatch, steps=25, start_seconds=0.05)
    assert observe(run).state == "starting"
    assert ended(run) == "finished"
    status = read_status(run)
    assert status is not None
    assert (status.pid, status.step, status.exit_code, status.attempt) == (pid, 25, 0, 1)
    assert [event["step"] for event in events_of(run, "checkpoint")] == [10, 20, 25]
    found = latest(run.checkpoints_dir)
    assert found is not None
    assert found.name == "step-00000025"
    assert run.sample_file(25).read_text().startswith("def ")
    assert LogTail(run.log_file).read()[-1].endswith(f"loss {read_all(run.metrics_file)[-1]['loss/ce']:.4f}")


def test_a_stopped_run_goes_on_where_it_was(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    start_fake(run, monkeypatch, steps=LONG)
    trained(run)
    request(run, "stop")
    assert ended(run) == "stopped"
    last = steps_of(run)[-1]
    start_fake(run, monkeypatch, steps=last + 20)
    assert ended(run) == "finished"
    assert events_of(run, "resumed")[0]["step"] == last
    assert steps_of(run) == list(range(1, last + 21))
    assert {record["attempt"] for record in read_all(run.metrics_file)} == {1, 2}


def test_a_killed_run_resumes_from_its_checkpoint_and_the_curve_has_each_step_once(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = start_fake(run, monkeypatch, steps=LONG, checkpoint_every=20)
    wait_for(lambda: len(steps_of(run)) > 25)
    os.kill(pid, signal.SIGKILL)
    assert ended(run) == "crashed"
    lost = steps_of(run)[-1]
    start_fake(run, monkeypatch, steps=lost + 5)
    assert ended(run) == "finished"
    assert len(steps_of(run)) > lost + 5
    assert [record["step"] for record in newest_attempts(read_all(run.metrics_file))] == list(range(1, lost + 6))


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("raise", "ValueError: the fake trainer was told to fail ␛]0;owned"),
        ("exit", "it ended with exit code 7"),
        ("abort", "killed by SIGABRT"),
        ("segv", "killed by SIGSEGV"),
        ("kill", "killed by SIGKILL, perhaps because memory ran out"),
    ],
)
def test_a_crash_is_explained(run: RunFolder, monkeypatch: pytest.MonkeyPatch, fault: str, words: str) -> None:
    start_fake(run, monkeypatch, steps=50, fault=f"{fault}@7")
    assert ended(run) == "crashed"
    wait_for(lambda: observe(run).reason.startswith(words), words)
    assert steps_of(run) == [1, 2, 3, 4, 5, 6]
    text = "\n".join(last_lines(run.log_file, 50))
    assert "step      6" in text
    assert "\x1b" not in text
    if fault in ("segv", "abort"):
        assert "Fatal Python error" in text


def test_a_crash_nobody_saw_is_explained_by_the_log(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The console that launched it is gone: nobody knows the return code."""
    monkeypatch.setenv("FAKE_STEPS", str(LONG))
    console = subprocess.Popen([sys.executable, "-c", SPAWNER, str(run.path)])
    trained(run)
    console.kill()
    console.wait()
    os.kill(observe(run).pid, signal.SIGKILL)
    assert ended(run) == "crashed"
    assert "it ended without a word" in observe(run).reason
    assert "step" in observe(run).reason


def test_divergence_is_a_state_of_its_own(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    start_fake(run, monkeypatch, steps=50, fault="nan@7")
    assert ended(run) == "diverged"
    assert read_all(run.metrics_file)[-1]["nonfinite"] == {"loss/ce": "nan", "loss/total": "nan"}
    status = read_status(run)
    assert status is not None
    assert status.exit_code == 4


def test_a_trainer_that_cannot_even_begin_is_a_crash(run: RunFolder) -> None:
    spawn_trainer(run, module="no_such_module_here", threads=1)
    wait_for(lambda: observe(run).state == "crashed")
    wait_for(lambda: "exit code 1" in observe(run).text)
    assert "No module named no_such_module_here" in "".join(last_lines(run.log_file))


def test_a_flood_of_output_blocks_nobody(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    start_fake(run, monkeypatch, steps=20, fault="flood@3")
    tail, lines = LogTail(run.log_file), []
    assert ended(run) == "finished"
    lines += tail.read()
    while tail.pending:
        lines += tail.read()
    assert tail.skipped == 1
    assert sum("loss" in line for line in lines) == 20
