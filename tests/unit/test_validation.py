"""Running checks: whatever happens in one the others run, and what they make is gone at the end."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest import mock

import pytest

from nanocore.errors import ResourceError, UsageError
from nanocore.validation.catalog import CHECKS, NAMES
from nanocore.validation.outcome import Found, NotRun
from nanocore.validation.run import chosen, run
from nanocore.validation.workshop import Workshop

ROOT = Path(__file__).parents[2]


def test_a_check_that_breaks_or_cannot_run_does_not_stop_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Workshop) -> None:
        raise RuntimeError("x\x1b[2J")

    def absent(_: Workshop) -> None:
        raise NotRun("there is no GPU here")

    monkeypatch.setattr("nanocore.validation.checks.environment.check", broken)
    monkeypatch.setattr("nanocore.validation.checks.kernels.check", absent)
    with Workshop() as workshop:
        reports = {report.name: report for report in run(chosen(NAMES[:2]), workshop)}
    assert (reports["environment"].observed, reports["environment"].expected) == ("RuntimeError: x␛[2J", "no error")
    assert (reports["kernels"].state, reports["kernels"].meaning) == ("not run", "there is no GPU here")


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), ResourceError("full"), MemoryError()]
)
def test_a_full_disk_or_memory_is_no_failure_of_a_check(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Workshop) -> None:
        raise error

    monkeypatch.setattr("nanocore.validation.checks.environment.check", full)
    with Workshop() as workshop, pytest.raises((ResourceError, MemoryError)):
        list(run(chosen(NAMES[:2]), workshop))


def test_what_needs_a_process_begins_before_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    for name in ("environment", "kill"):
        module = f"nanocore.validation.checks.{name}"
        monkeypatch.setattr(f"{module}.check", lambda _, name=name: steps.append(name) or Found("1", "one"))
    monkeypatch.setattr("nanocore.validation.checks.kill.begin", lambda _: steps.append("begin"))
    with Workshop() as workshop:
        told = [(report.name, report.state) for report in run(chosen(["kill", "environment"]), workshop)]
    assert steps == ["begin", "environment", "kill"]
    assert told == [("kill", "running"), ("environment", "running"), ("environment", "passed"), ("kill", "passed")]


def test_what_cannot_begin_is_told_and_does_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Workshop) -> None:
        raise OSError("no process")

    monkeypatch.setattr("nanocore.validation.checks.kill.begin", broken)
    with Workshop() as workshop:
        report = list(run(chosen(["kill"]), workshop))[-1]
    assert (report.state, report.observed) == ("failed", "OSError: no process")


def test_the_trainer_beside_the_checks_is_started_before_torch_is_loaded() -> None:
    program = (
        "import sys, nanocore.worker.validate, nanocore.validation.run, nanocore.validation.checks.kill;"
        "from nanocore.validation.workshop import Workshop; workshop = Workshop();"
        "workshop.new_run('a'); workshop.close(); print([name for name in ('torch', 'triton') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout == "[]\n"


def test_checks_run_in_the_order_of_the_catalog_and_unknown_names_are_refused() -> None:
    assert [entry.name for entry in chosen(list(reversed(NAMES)))] == list(NAMES)
    with pytest.raises(UsageError, match="no check named 'nonsense'"):
        chosen(["nonsense"])


def test_the_catalog_names_places_that_exist() -> None:
    for entry in CHECKS:
        assert entry.about.endswith(".") and entry.holds
        for place in (part.strip() for part in entry.where.replace(";", ",").split(",")):
            if "/" in place:
                assert (ROOT / place).exists(), place
        module = entry.function.partition(":")[0].rpartition(".")[2]
        assert (ROOT / "core/nanocore/validation/checks" / f"{module}.py").is_file()


def test_a_workshop_leaves_nothing_unless_it_is_kept(tmp_path: Path) -> None:
    with Workshop() as workshop:
        folder, run_ = workshop.folder, workshop.new_run("a")
        assert run_.config_file.is_file()
    assert not folder.exists()
    with Workshop(keep=tmp_path / "kept") as workshop:
        workshop.new_run("a")
    assert (tmp_path / "kept" / "a" / "config.toml").is_file()
    with pytest.raises(UsageError, match="is not empty"):
        Workshop(keep=tmp_path / "kept")


def test_a_folder_that_cannot_be_written_is_refused_before_any_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o500)
    if os.geteuid() == 0:  # whom no mode stops
        monkeypatch.setattr(tempfile, "TemporaryFile", mock.Mock(side_effect=PermissionError(13, "Permission denied")))
    with pytest.raises(UsageError, match="cannot be used: Permission denied"):
        Workshop(keep=tmp_path)


ENDED = """
import sys, time
from nanocore.worker.channel import Channel
channel = Channel()
channel.request()
channel.listen()
channel.on_end(lambda: print("cleaned", file=sys.stderr, flush=True))
channel.answer({"kind": "ready"})
time.sleep(60)
"""


def test_a_worker_cleans_up_when_the_console_is_gone() -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", ENDED], stdin=pipe, stdout=pipe, stderr=pipe, text=True) as worker:
        assert worker.stdin and worker.stdout and worker.stderr
        worker.stdin.write("{}\n")
        worker.stdin.flush()
        worker.stdout.readline()
        worker.stdin.close()
        assert worker.stderr.read() == "cleaned\n"
        assert worker.wait(20) == 130


def test_a_trainer_beside_the_checks_ends_with_the_workshop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_STEP_SECONDS", "0.05")
    from nanocore.runs import spawn

    right = spawn.start_detached
    monkeypatch.setattr(spawn, "start_detached", lambda _, *rest, **more: right("tests.fake_trainer", *rest, **more))
    with Workshop() as workshop:
        process = workshop.start(workshop.new_run("beside", "training.steps=100000"))
        os.kill(process.pid, 0)
    assert process.returncode == -signal.SIGKILL
