"""What is said of a launch, and how long one that is not followed waits for an early failure."""

from __future__ import annotations

import errno
import itertools
import os
from pathlib import Path

import pytest

from nanoconsole.services import launcher
from nanocore.checkpoint import manifest
from nanocore.config.resolve import resolve
from nanocore.errors import NanoError, ResourceError, UsageError
from nanocore.runs import spawn
from nanocore.runs.create import Parent, create_run
from nanocore.runs.layout import RunFolder
from nanocore.runs.liveness import RunState
from tests.run_helpers import make_run


def saved(run: RunFolder, step: int) -> Path:
    """A checkpoint of a step; its folder."""

    def build(folder: Path) -> None:
        (folder / "state.json").write_text("{}")

    target = manifest.step_folder(run.checkpoints_dir, step)
    manifest.commit(build, target, {"step": step})
    return target


def test_what_a_resume_says_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which checkpoint is good only the trainer finds out."""
    monkeypatch.setattr(spawn, "spawn_trainer", lambda *_, **__: 1)
    run = make_run(tmp_path)
    assert launcher.restart(run).start == "starting at step 0"
    folders = [saved(run, step) for step in (10, 20)]
    assert launcher.restart(run).start == "resuming, newest checkpoint step 20"
    for folder in folders:
        (folder / "state.json").write_bytes(b"")
    assert launcher.restart(run).start == "resuming"


@pytest.mark.parametrize(
    ("sets", "fix"),
    [
        (["training.seed=5"], r"start a new run from it: \S*nanoconsole train --from first --set \.\.\."),
        (
            ["training.seed=5", "mtp.horizon=1"],
            r"its checkpoints do not fit another mtp\.horizon, so start a new run from the beginning: "
            r"\S*nanoconsole train first --set \.\.\.",
        ),
    ],
    ids=["weights fit", "another model"],
)
def test_what_a_resume_may_not_change_is_sent_where_it_can_be_changed(
    tmp_path: Path, sets: list[str], fix: str
) -> None:
    run = create_run(tmp_path, resolve("tiny-cpu"), name="first")
    with pytest.raises(UsageError, match=rf"cannot change when a run is resumed: .*; {fix}$"):
        launcher.restart(run, sets)


def test_a_fork_with_another_model_is_shown_the_way_out() -> None:
    before, after, parent = resolve("tiny-cpu"), resolve("tiny-cpu", ["mtp.horizon=1"]), Parent(run="first", step=10)
    fix = r"keep these keys as they are, or begin with new weights: \S*nanoconsole train first --set \.\.\."
    with pytest.raises(UsageError, match=rf"another model: mtp\.horizon 0 -> 1; {fix}$"):
        launcher.check_fork(after, before, parent)


def launched(monkeypatch: pytest.MonkeyPatch, run: RunFolder, *looks: tuple[str, str], last: str) -> int:
    """Confirm a launch that is seen in each of these phases in turn, 0.02 s apart; the last state stays. The phases not seen."""
    states = (RunState(state, phase, reason="no checkpoint") for state, phase in looks)
    seen = itertools.chain(states, itertools.repeat(RunState(last, reason="no checkpoint")))
    monkeypatch.setattr("nanocore.runs.liveness.observe", lambda _: next(seen))
    monkeypatch.setattr(launcher, "INTERVAL", 0.02)
    monkeypatch.setattr(launcher, "CONFIRMATION", 0.1)
    launcher.confirm(run)
    return sum(state.state != last for state in itertools.islice(seen, len(looks)))


def test_a_trainer_that_loads_its_checkpoint_is_waited_for_however_busy_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NanoError, match="failed at once: no checkpoint"):
        launched(monkeypatch, make_run(tmp_path), *[("starting", "starting")] * 15, last="crashed")


def test_one_that_prepares_text_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = [("starting", "starting")] * 2 + [("starting", "preparing")] * 100
    assert launched(monkeypatch, make_run(tmp_path), *looks, last="crashed") > 50


def test_a_launch_that_cannot_even_be_announced_is_refused_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    run = make_run(tmp_path)
    monkeypatch.setattr(spawn, "write_document", full)
    with pytest.raises(ResourceError, match="cannot be written: No space left on device; free some space, then resume"):
        spawn.spawn_trainer(run, module="tests.fake_trainer")
    assert not run.log_file.exists()  # nothing was started
