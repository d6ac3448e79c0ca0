"""Following and watching end with the run, whatever becomes of it, and say by their exit code how."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from functools import partial

import msgspec
import pytest

from nanoconsole.cli import follow as module
from nanoconsole.services.alerts import mute
from nanocore.checkpoint.manifest import commit, step_folder
from nanocore.config.schema import Config
from nanocore.runs.control import Inbox
from nanocore.runs.create import create_run
from nanocore.runs.documents import write_document
from nanocore.runs.hints import to_type
from nanocore.runs.layout import RunFolder, alerts_file
from nanocore.runs.liveness import RunLock, acquire, observe
from nanocore.runs.records import RecordWriter
from nanocore.runs.stall import PHASE_LIMITS, StallWatch
from tests import command_line
from tests.command_line import Nano
from tests.run_helpers import status_of_me

nano = command_line.nano


@pytest.fixture
def run(nano: Nano) -> RunFolder:
    return create_run(nano.root, Config(), name="a-run")


def at_work(run: RunFolder) -> RunLock:
    """This process as the run's trainer."""
    lock = acquire(run)
    write_document(run.status_file, status_of_me(state="running", phase="training", step=3, steps=9, attempt=1))
    return lock


def between_looks(monkeypatch: pytest.MonkeyPatch, *events: Callable[[], object]) -> None:
    """Let these things happen, one after each look at the run; a look after the last of them is one too many."""
    left = iter(events)

    def sleep(_: float) -> None:
        next(left, lambda: pytest.fail("it goes on"))()

    monkeypatch.setattr(module.time, "sleep", sleep)


def interrupt() -> None:
    raise KeyboardInterrupt


def test_watch_ends_when_the_folder_is_deleted(nano: Nano, run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = at_work(run)
    between_looks(monkeypatch, lock.release, lambda: shutil.rmtree(run.path))
    write_document(run.status_file, status_of_me(state="running", step=3, host="another"))
    watched = nano("watch", "a-run")
    assert watched.code == 2
    assert watched.out.splitlines()[-1] == "a-run: gone: its folder was deleted or moved"


@pytest.mark.parametrize("status", ['{"schema":1,"state":5}', '{"state":"dancing"}', '{"schema":2}'])
def test_watch_ends_when_the_status_cannot_be_read(nano: Nano, run: RunFolder, status: str) -> None:
    RecordWriter(run.metrics_file).write({"step": 1, "loss/ce": 2.0})
    run.status_file.write_text(status)
    watched = nano("watch", "a-run", "--json")
    assert watched.code == 2
    assert (watched.lines[-1]["state"], watched.lines[-1]["exit_code"]) == ("unknown", 2)
    assert nano("watch", "a-run").code == 2


@pytest.mark.parametrize(("seen", "code"), [(6, 6), (-9, 1), (0, 0)])
def test_an_end_that_the_trainer_could_not_write_is_told_by_who_launched_it(
    nano: Nano, run: RunFolder, seen: int, code: int
) -> None:
    """As on a full disk, where the status keeps its last state."""
    me = status_of_me(state="running", step=3, attempt=1)
    write_document(run.status_file, msgspec.structs.replace(me, start_ticks=me.start_ticks + 1))
    RecordWriter(run.events_file).write({"kind": "crashed", "attempt": 1, "step": 3, "exit_code": seen})
    assert nano("watch", "a-run").code == code


def test_watch_waits_for_a_run_that_was_only_created(
    nano: Nano, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    last_word = status_of_me(state="finished", exit_code=0)
    between_looks(monkeypatch, lambda: None, lambda: write_document(run.status_file, last_word))
    watched = nano("watch", "a-run")
    waiting = (
        f"not started yet; waiting (Ctrl-C ends the watching); start it: {to_type(f'--runs {nano.root} resume a-run')}"
    )
    assert (watched.code, watched.out) == (0, f"a-run: {waiting}\na-run: finished\n")


def test_watch_tells_what_leaves_its_range_and_does_nothing_about_it(
    nano: Nano, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(first: int, last: int, loss: float) -> None:
        writer = RecordWriter(run.metrics_file)
        for step in range(first, last + 1):
            writer.write({"step": step, "attempt": 1, "loss/ce": loss, "training/grad_norm": 1.0})
        writer.close()

    def end() -> None:
        train(41, 41, 9.0)
        write_document(run.status_file, status_of_me(state="crashed", exit_code=6, message="out of memory", attempt=1))
        lock.release()

    train(1, 40, 2.0)
    for options in ((), ("--low-bandwidth",), ("--json",)):
        lock = at_work(run)
        between_looks(monkeypatch, end)
        watched = nano("watch", "a-run", *options)
        assert watched.code == 6
        if options != ("--json",):
            alerts = [line for line in watched.out.splitlines() if line.startswith("alert: ")]
            assert alerts[0].startswith("alert: step 41: loss spike: ")
            assert alerts[0].endswith("see docs/troubleshooting.md#nan-divergence")
            assert alerts[1].startswith("alert: step 41: ended badly: ")
            assert alerts[1].endswith("see docs/troubleshooting.md#out-of-memory")
        else:
            rules = [line["rule"] for line in watched.lines if line["kind"] == "alert"]
            assert rules == ["loss_spike", "ended"]
        run.metrics_file.unlink()
        train(1, 40, 2.0)
    assert not alerts_file(nano.root).exists()
    mute(run, "ended", muted=True)
    assert "alert" not in nano("watch", "a-run").out  # of the past only what lasts is told


def test_ctrl_c_while_waiting_for_a_start_does_not_claim_that_anything_goes_on(
    nano: Nano, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    between_looks(monkeypatch, interrupt)
    watched = nano("watch", "a-run")
    assert (watched.code, watched.err) == (0, "a-run is not started yet\n")


def test_a_run_only_created_is_told_so_once_by_every_verb_that_wants_a_trainer(nano: Nano, run: RunFolder) -> None:
    told = {verb: nano(verb, "a-run") for verb in ("stop", "pause")}
    said = f"nanoconsole: a-run: is not running: created, never started; start it: {to_type(f'--runs {nano.root} resume a-run')}\n"
    assert {result.err for result in told.values()} == {said}
    assert nano("runs", "show", "a-run").out.splitlines()[1].split(maxsplit=1) == ["state", "created, never started"]


def test_watch_follows_a_trainer_on_another_host_until_its_heart_stops(
    nano: Nano, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = status_of_me(state="running", phase="evaluating", step=3, host="another", alive=7)
    write_document(run.status_file, status)
    clock = [0.0]
    monkeypatch.setattr("nanoconsole.cli.view.StallWatch", partial(StallWatch, lambda: clock[0]))

    def pass_time() -> None:
        clock[0] += PHASE_LIMITS["evaluating"] + 1

    between_looks(monkeypatch, lambda: None, pass_time)
    watched = nano("watch", "a-run")
    assert watched.code == 1
    assert "does not react" in watched.out


@pytest.mark.parametrize(
    ("state", "code", "saved", "expected"),
    [
        ("stopped", 0, True, 130),
        ("finished", 0, True, 130),
        ("stopped", 0, False, 130),
        ("crashed", 1, True, 1),
        ("crashed", 6, True, 6),
        ("diverged", 4, False, 4),
        ("crashed", None, False, 1),
    ],
)
def test_ctrl_c_is_130_when_the_run_was_saved_or_had_nothing_to_save(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, state: str, code: int | None, saved: bool, expected: int
) -> None:
    lock = at_work(run)

    def end() -> None:
        if saved:
            commit(lambda folder: (folder / "x").touch(), step_folder(run.checkpoints_dir, 3), {})
        write_document(run.status_file, status_of_me(state=state, exit_code=code, attempt=1))
        lock.release()

    between_looks(monkeypatch, interrupt, end)
    assert module.follow(run) == expected
    assert [command.name for command in Inbox(run, 1).poll()] == ["stop"]


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (
            {"state": "starting", "phase": "preparing"},
            "stopping a-run, with a checkpoint if it has made a step by then; ",
        ),
        (
            {"state": "starting", "phase": "preparing", "step": 3},
            "stopping a-run, with a checkpoint if it has",
        ),
        ({"state": "running", "phase": "training", "step": 3}, "stopping a-run with a checkpoint; "),
    ],
)
def test_ctrl_c_promises_a_checkpoint_only_of_a_run_that_trains(
    run: RunFolder,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    now: dict[str, object],
    told: str,
) -> None:
    lock = acquire(run)
    write_document(run.status_file, status_of_me(attempt=1, **now))
    between_looks(monkeypatch, interrupt, interrupt)
    assert module.follow(run) == 130
    assert capsys.readouterr().err.startswith(told)
    lock.release()


def test_a_second_ctrl_c_is_130_and_says_that_the_stop_stays_in_force(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = at_work(run)
    between_looks(monkeypatch, interrupt, interrupt)
    assert module.follow(run) == 130
    first, second = capsys.readouterr().err.splitlines()
    assert "Ctrl-C again ends only this command, not the stop" in first
    assert second.startswith("a-run: the stop stays in force: it saves what it trained and ends; look: ")
    assert [command.name for command in Inbox(run, 1).poll()] == ["stop"]
    lock.release()


def test_waiting_for_the_end_waits_for_a_trainer_that_is_still_to_come(
    nano: Nano, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nanoconsole.cli.control.ANSWER_SECONDS", 0.0)
    coming = status_of_me(state="starting", pid=0, start_ticks=0, launched=time.monotonic())
    write_document(run.status_file, coming)
    locks: list[RunLock] = []

    def end() -> None:
        write_document(run.status_file, status_of_me(state="stopped"))
        locks.pop().release()

    between_looks(monkeypatch, lambda: locks.append(at_work(run)), end)
    assert nano("stop", "a-run", "--wait").code == 0
    assert observe(run).state == "stopped"
