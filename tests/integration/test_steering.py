"""A trainer obeys commands and signals, saves before it ends, and is killed only when nothing else helps."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nanocore.checkpoint.manifest import latest, verify
from nanocore.errors import BusyError, UsageError
from nanocore.runs import spawn
from nanocore.runs.control import send
from nanocore.runs.identity import Identity
from nanocore.runs.layout import RunFolder
from nanocore.runs.liveness import observe
from nanocore.runs.spawn import spawn_trainer
from nanocore.runs.status import read_status
from nanocore.runs.steer import force_stop, request, wait_until_ended
from tests.run_helpers import ended, events_of, start_fake, steps_of, trained, wait_for

LONG = 1_000_000
ROOT = Path(__file__).parents[2]


def test_commands_are_obeyed_and_acknowledged(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    start_fake(run, monkeypatch, steps=LONG, checkpoint_every=LONG)
    trained(run)
    request(run, "pause")
    wait_for(lambda: observe(run).state == "paused")
    resting = steps_of(run)
    request(run, "checkpoint")
    wait_for(lambda: events_of(run, "checkpoint"))
    assert verify(run.checkpoints_dir / events_of(run, "checkpoint")[0]["path"]) == []
    assert steps_of(run) == resting
    request(run, "resume")
    trained(run)
    request(run, "sample")
    wait_for(lambda: events_of(run, "sample"))
    request(run, "stop")
    assert ended(run) == "stopped"
    assert [event["command"] for event in events_of(run, "acknowledged")] == [
        "pause", "checkpoint", "resume", "sample", "stop",
    ]  # fmt: skip
    with pytest.raises(UsageError, match="not running: stopped"):
        request(run, "pause")


def test_stop_after_the_next_checkpoint(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    start_fake(run, monkeypatch, steps=LONG, checkpoint_every=30)
    trained(run)
    request(run, "stop-after-checkpoint")
    assert ended(run) == "stopped"
    assert steps_of(run)[-1] % 30 == 0
    assert len(events_of(run, "checkpoint")) >= 1


def test_a_stop_sent_while_the_trainer_starts_is_not_lost_and_an_old_one_is(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(run, "stop")  # for no attempt: stale
    start_fake(run, monkeypatch, steps=LONG)
    request(run, "checkpoint")  # before the trainer has the lock
    wait_for(lambda: events_of(run, "acknowledged"))
    assert [event["command"] for event in events_of(run, "acknowledged")] == ["checkpoint"]
    trained(run)
    request(run, "stop")
    ended(run)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_and_stops(run: RunFolder, monkeypatch: pytest.MonkeyPatch, number: int, code: int) -> None:
    pid = start_fake(run, monkeypatch, steps=LONG, checkpoint_every=LONG)
    trained(run)
    os.kill(pid, number)
    assert ended(run) == "stopped"
    status, found = read_status(run), latest(run.checkpoints_dir)
    assert status is not None
    assert found is not None
    assert status.exit_code == code
    assert json.loads((found / "state.json").read_text())["step"] == status.step == steps_of(run)[-1]


def test_a_second_trainer_is_refused_and_changes_nothing(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    pid = start_fake(run, monkeypatch, steps=LONG)
    trained(run)
    with pytest.raises(BusyError, match=f"busy: pid {pid}"):
        spawn_trainer(run, module="tests.fake_trainer")
    done = subprocess.run(
        [sys.executable, "-m", "tests.fake_trainer", str(run.path)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 75
    assert done.stderr.startswith(f"{run.name}: busy: pid {pid}, host ")
    assert len(events_of(run, "started")) == 1
    request(run, "stop")
    assert ended(run) == "stopped"
    assert steps_of(run) == list(range(1, len(steps_of(run)) + 1))


def test_of_two_launches_at_once_one_trains_and_the_other_leaves_no_trace(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spawn, "_refuse_if_busy", lambda _: None)  # both looked before either began
    pids = {start_fake(run, monkeypatch, steps=LONG), start_fake(run, monkeypatch, steps=LONG)}
    trained(run)
    (loser,) = pids - {observe(run).pid}
    wait_for(lambda: not Path(f"/proc/{loser}").exists())  # reaped, so its launcher knows how it ended
    trained(run)
    assert observe(run).state == "running"
    request(run, "stop")
    assert ended(run) == "stopped"
    assert len(events_of(run, "started")) == 1
    assert events_of(run, "crashed") == []
    assert "busy: pid" in run.log_file.read_text()


def test_force_stops_gently_first(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    start_fake(run, monkeypatch, steps=LONG)
    trained(run)
    assert force_stop(run) == "SIGTERM"
    assert ended(run) == "stopped"
    assert latest(run.checkpoints_dir) is not None
    with pytest.raises(UsageError, match="no trainer of this host"):
        force_stop(run)


def test_a_suspended_trainer_is_woken_to_save(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    pid = start_fake(run, monkeypatch, steps=LONG, fault="suspend@5")
    wait_for(lambda: steps_of(run) == [1, 2, 3, 4] and " T " in Path(f"/proc/{pid}/stat").read_text())
    assert observe(run).alive
    assert force_stop(run) == "SIGTERM"
    assert ended(run) == "stopped"


def test_a_deaf_trainer_is_killed(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    pid = start_fake(run, monkeypatch, steps=LONG, deaf=1)
    trained(run)
    assert force_stop(run, patience=0.1) == "SIGKILL"
    wait_until_ended(run)
    assert Identity.of(pid) is None
    assert observe(run).text == "crashed: killed on request: it had not saved within 0.1 s"


def test_a_trainer_that_is_still_to_come_is_killed_when_it_has_come(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = start_fake(run, monkeypatch, steps=LONG)
    assert not observe(run).alive
    assert force_stop(run, patience=0.0) in ("SIGTERM", "SIGKILL")
    wait_until_ended(run)
    assert Identity.of(pid) is None
