"""What the real trainer does when it is asked for something at an awkward time: while it starts, or in a pause."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nanocore.checkpoint.manifest import available
from nanocore.config.toml import load, save
from nanocore.runs.control import send
from nanocore.runs.layout import RunFolder
from nanocore.train import build, loop
from nanocore.train.job import Job
from tests.run_helpers import events_of, status_of, steps_of
from tests.tiny import new_run, tiny_config, train

# A trainer to which a signal comes while torch loads; this torch is empty, so it must end before it uses any of it.
INTERRUPTED = """
import os, sys
from importlib.machinery import ModuleSpec
class Torch:
    def find_spec(self, name, path=None, target=None):
        return ModuleSpec(name, self) if name == "torch" else None
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        os.kill(os.getpid(), int(sys.argv[1]))
sys.meta_path.insert(0, Torch())
from nanocore.train.__main__ import main
sys.exit(main([sys.argv[2]]))
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NANOCONSOLE_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["INT", "TERM"])
def test_a_signal_while_torch_loads_stops_the_run_without_a_traceback(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    run = new_run(tmp_path)
    command = [sys.executable, "-c", INTERRUPTED, str(int(number)), str(run.path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (code, "")
    assert (status_of(run).state, status_of(run).exit_code) == ("stopped", code)
    assert [event["exit_code"] for event in events_of(run, "stopped")] == [code]


def when(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, act: Callable[[], object]) -> None:
    """Call `act` just before the trainer calls `module.name`."""
    true = getattr(module, name)

    def first(*arguments: Any, **options: Any) -> Any:
        act()
        return true(*arguments, **options)

    monkeypatch.setattr(module, name, first)


@pytest.mark.parametrize("part", ["own_checkpoint", "_heldout", "_core"])
def test_a_stop_while_the_parts_are_made_ends_before_the_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    run = new_run(tmp_path)
    when(monkeypatch, build, part, lambda: send(run, "stop"))
    assert train(run) == 0
    assert (status_of(run).state, status_of(run).step) == ("stopped", 0)
    assert steps_of(run) == []


def test_what_is_asked_for_before_the_first_step_is_acknowledged_and_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run(tmp_path, "training.steps=2", "evaluation.every=0")
    when(monkeypatch, build, "_heldout", lambda: send(run, "sample"))
    assert train(run) == 0
    assert [event["command"] for event in events_of(run, "acknowledged")] == ["sample"]
    assert run.sample_file(1).exists()


def in_a_pause(monkeypatch: pytest.MonkeyPatch, run: RunFolder, acts: list[Callable[[], object]]) -> None:
    """Pause the run after its second step; the acts then happen one after another, each on its own look at orders."""

    def with_pause(job: Job, batch: Any) -> Any:
        if job.progress.step == 1:
            send(run, "pause")
        return true_step(job, batch)

    true_step = loop.one_step
    monkeypatch.setattr(loop, "one_step", with_pause)
    monkeypatch.setattr(loop.time, "sleep", lambda _: acts.pop(0)())


def test_a_checkpoint_and_a_sample_are_made_inside_the_pause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = new_run(tmp_path, "training.steps=3", "checkpoint.every=0", "evaluation.every=0")
    seen: list[tuple[str, int, int, bool]] = []

    def look() -> None:
        status = status_of(run)
        seen.append((status.state, status.step, len(available(run.checkpoints_dir)), run.sample_file(2).exists()))

    acts: list[Callable[[], object]] = [
        lambda: send(run, "checkpoint"),
        look,
        lambda: send(run, "sample"),
        look,
        lambda: send(run, "resume"),
    ]
    in_a_pause(monkeypatch, run, acts)
    assert train(run) == 0
    assert seen == [("paused", 2, 1, False), ("paused", 2, 1, True)]
    assert (status_of(run).state, steps_of(run)[-1]) == ("finished", 3)


def test_a_stop_after_the_next_checkpoint_ends_the_pause_where_none_is_scheduled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run(tmp_path, "checkpoint.every=0", "evaluation.every=0")
    in_a_pause(monkeypatch, run, [lambda: send(run, "stop-after-checkpoint")])
    assert train(run) == 0
    assert (status_of(run).state, status_of(run).step) == ("stopped", 2)
    assert [path.name for path in available(run.checkpoints_dir)] == ["step-00000002"]


def test_a_new_configuration_counts_once_the_trainer_could_use_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run(tmp_path, "training.steps=2", "evaluation.every=0")
    assert train(run) == 0
    before = run.config_file.read_bytes()
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    save(tiny_config("training.steps=3", "evaluation.every=0", "hardware.device=cuda"), run.next_config_file)
    assert train(run) == 6
    assert run.config_file.read_bytes() == before
    assert not run.next_config_file.exists()
    save(tiny_config("training.steps=3", "evaluation.every=0"), run.next_config_file)
    assert train(run) == 0
    assert load(run.config_file).training.steps == 3
    assert not run.next_config_file.exists()
    assert steps_of(run)[-1] == 3
