"""Memory that runs out is told in words, with what to do, and never retried for ever."""

from __future__ import annotations

import resource
import signal
from pathlib import Path

import pytest
import torch

from nanocore.runs.layout import RunFolder
from nanocore.runs.liveness import observe
from nanocore.runs.postmortem import exit_words
from nanocore.train import loop
from tests.forked import start_real
from tests.run_helpers import exit_code, status_of
from tests.techniques import SMALL
from tests.tiny import new_run, train


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NANOCONSOLE_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried 1 GB"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB\nmore lines"),
    ],
    ids=["python", "cpu", "cuda"],
)
def test_every_kind_of_it_is_one_line_with_exit_code_6(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(loop, "one_step", fail)
    run = new_run(tmp_path, *SMALL)
    assert train(run) == 6
    status = status_of(run)
    assert (status.state, status.exit_code) == ("crashed", 6)
    assert status.message.startswith("out of memory: ") and "training.accumulation" in status.message
    assert "\n" not in status.message
    assert "Traceback" not in run.log_file.read_text() if run.log_file.exists() else True


def test_a_limit_of_the_system_is_met_the_same_way(tmp_path: Path) -> None:
    run = new_run(tmp_path, *SMALL, "model.d_model=512", "model.d_ff=8192", "model.n_layers=8")

    def limit() -> None:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20), resource.RLIM_INFINITY))

    assert exit_code(start_real(run, prepare=limit)) == 6, run.log_file.read_text()
    assert status_of(run).message.startswith("out of memory: ")


def test_a_kill_from_outside_may_mean_memory(tmp_path: Path) -> None:
    assert "perhaps because memory ran out" in exit_words(-signal.SIGKILL)
    run = new_run(tmp_path, *SMALL)
    assert exit_code(start_real(run, fail="train.micro:3")) == -signal.SIGKILL
    reason = observe(RunFolder(run.path)).reason
    assert "memory ran out" in reason and "last line of its log" in reason
