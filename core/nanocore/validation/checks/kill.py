"""Check: a trainer that SIGKILL ends leaves a run that goes on, bit for bit, as if nothing had happened.

The trainer is a process of its own and works beside the other checks. It is killed as soon as it has saved; where that
is depends on the machine, so the run's length is set afterwards, which a constant schedule allows.
"""

from __future__ import annotations

import signal
import subprocess
import time
from threading import Thread

from nanocore.checkpoint.manifest import latest, step_of
from nanocore.config.toml import load, save
from nanocore.runs.layout import RunFolder
from nanocore.runs.status import read_status
from nanocore.validation.outcome import Found, expect
from nanocore.validation.workshop import Workshop

SETS = ("schedule.kind=constant", "checkpoint.every=4", "optimizer.state=int8", "mhc.dynamic=true")
MOST_STEPS = 4000  # some ten seconds, if nobody should come to kill it
FURTHER = 4  # steps after the checkpoint it goes on from
PATIENCE = 120.0  # seconds until it must have saved; loading torch is most of them
POLL = 0.01


class Victim:
    """A trainer, and the thread that kills it once it has saved."""

    def __init__(self, run: RunFolder, process: subprocess.Popen[bytes]) -> None:
        self.run, self._process = run, process
        self._thread = Thread(target=self._watch, name="killer", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while self._process.poll() is None and time.monotonic() < deadline:
            if latest(self.run.checkpoints_dir) is not None:
                break
            time.sleep(POLL)
        self._process.kill()
        self._process.wait()

    def ended(self) -> int:
        """Wait until it is dead; its return code."""
        self._thread.join()
        return self._process.wait()


def begin(workshop: Workshop) -> None:
    """Start the trainer."""
    run = workshop.new_run("killed", *SETS, f"training.steps={MOST_STEPS}")
    workshop.share("killed", Victim(run, workshop.start(run)))


def check(workshop: Workshop) -> Found:
    from nanocore.validation.compare import differing
    from nanocore.validation.reference_run import losses, saved, train

    victim: Victim = workshop.shared("killed")
    code = victim.ended()
    status, path = read_status(victim.run), latest(victim.run.checkpoints_dir)
    expect(code == -signal.SIGKILL, f"it ended by itself with {code}: {status.message if status else ''}", "killed")
    expect(path is not None, f"no checkpoint within {PATIENCE:.0f} s", "one before it was killed")
    assert path is not None and status is not None
    step = step_of(path)
    _lengthen(victim.run, step + FURTHER)
    train(victim.run)
    whole = workshop.new_run("never-killed", *SETS, f"training.steps={step + FURTHER}")
    train(whole)
    moved = differing(saved(whole), saved(victim.run))
    expect(not moved, f"{len(moved)} tensors differ after the kill, first {moved[:1]}", "every tensor bit for bit")
    expect(losses(whole) == losses(victim.run), "other losses after the kill", "each the same number")
    return Found(
        f"killed in step {status.step + 1}, resumed from {step}, {len(saved(whole))} tensors the same bits",
        "a real trainer in a process of its own, against a run of the same length that was never killed",
    )


def _lengthen(run: RunFolder, steps: int) -> None:
    config = load(run.config_file)
    training = config.training.model_copy(update={"steps": steps})
    save(config.model_copy(update={"training": training}), run.config_file)
