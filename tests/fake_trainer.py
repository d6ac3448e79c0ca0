"""A trainer without torch: the same run-folder code and habits as `nanocore.train`, with invented numbers.

`python -m tests.fake_trainer RUN`, or `spawn_trainer(run, module="tests.fake_trainer")`. The environment sets its
speed and its faults:

FAKE_STEPS             steps of the run; else training.steps of the run's config.toml, else 50
FAKE_STEP_SECONDS      time of one step (0.005)
FAKE_START_SECONDS     time between the lock and the first step, as importing torch takes (0)
FAKE_CHECKPOINT_EVERY  steps between checkpoints (10); FAKE_EVAL_EVERY likewise for evaluations (10)
FAKE_FAULT             kind@step: one of FAULTS below
FAKE_FORK              1: keep a forked worker alive, which inherits every descriptor
FAKE_DEAF              1: ignore SIGTERM and control files
NANO_FAIL              failpoints of the run-folder code
"""

from __future__ import annotations

import ctypes
import faulthandler
import json
import math
import os
import random
import signal
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

from nanocore.checkpoint import manifest
from nanocore.errors import NanoError
from nanocore.runs.control import Command, Inbox
from nanocore.runs.layout import RunFolder
from nanocore.runs.liveness import acquire
from nanocore.runs.log import cap_log
from nanocore.runs.records import RecordWriter
from nanocore.runs.staging import accept, configuration_file, discard
from nanocore.runs.status import StatusWriter, next_attempt

TOKENS_PER_STEP = 2048
LIFETIME = 120  # seconds; a trainer that a failed test left behind ends by itself
EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e[/] [@click=app.quit]quit[/]"


def _raise() -> None:
    raise ValueError(f"the fake trainer was told to fail {HOSTILE}")


def _flood() -> None:
    for _ in range(20):
        sys.stdout.write("x" * (1 << 20))
    sys.stdout.write("\n")


FAULTS: dict[str, Callable[[], object]] = {
    "raise": _raise,
    "exit": lambda: os._exit(7),
    "abort": os.abort,
    "segv": lambda: ctypes.string_at(0),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "suspend": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "flood": _flood,
    "hostile": lambda: print(HOSTILE),
    "nan": lambda: None,  # the loss of that step is not a number
}


class FakeTrainer:
    """One attempt at a run, from the lock to the last word."""

    def __init__(self, run: RunFolder) -> None:
        self.run, self.lock = run, acquire(run)
        self.steps = int(os.environ.get("FAKE_STEPS") or _configured_steps(run))
        self.pace = float(os.environ.get("FAKE_STEP_SECONDS", "0.005"))
        self.checkpoint_every = int(os.environ.get("FAKE_CHECKPOINT_EVERY", "10"))
        self.eval_every = int(os.environ.get("FAKE_EVAL_EVERY", "10"))
        kind, _, step = os.environ.get("FAKE_FAULT", "@0").partition("@")
        self.fault, self.fault_step = kind, int(step)
        self.deaf = os.environ.get("FAKE_DEAF") == "1"
        self.attempt = next_attempt(run)
        self.status = StatusWriter(run, attempt=self.attempt, steps=self.steps)
        self.metrics, self.events = RecordWriter(run.metrics_file), RecordWriter(run.events_file)
        self.inbox = Inbox(run, self.attempt)
        self.step, self.elapsed, self.exit_code = 0, 0.0, 0
        self.stop = self.stop_after_checkpoint = self.paused = self.saved = False
        self.random = random.Random(1337)

    def main(self) -> int:
        """Train; the exit code. Whatever goes wrong is told in status, events and log."""
        for number in EXIT_CODES:
            signal.signal(number, signal.SIG_IGN if self.deaf else self._signalled)
        try:
            self._begin()
            while self.step < self.steps and not self.stop:
                self._one_step()
            return self._end()
        except Exception as error:
            discard(self.run)
            self._event("crashed", message=str(error))
            self.status.finish("crashed", 1, f"{type(error).__name__}: {error}")
            raise

    def _begin(self) -> None:
        if os.environ.get("FAKE_FORK") == "1" and os.fork() == 0:
            time.sleep(60)
            os._exit(0)
        manifest.sweep(self.run.checkpoints_dir)
        self.inbox.discard_stale()
        self._event("started", pid=os.getpid())
        checkpoint = manifest.latest(self.run.checkpoints_dir)
        if checkpoint is not None:
            state = json.loads((checkpoint / "state.json").read_text())
            self.step, self.elapsed = state["step"], state["elapsed"]
            self._event("resumed")
        self.status.update(phase="building", step=self.step)
        time.sleep(float(os.environ.get("FAKE_START_SECONDS", "0")))
        accept(self.run)
        self.status.update(state="running", phase="training")

    def _one_step(self) -> None:
        self._obey()
        if self.stop:
            return
        time.sleep(self.pace)
        self.step, self.elapsed, self.saved = self.step + 1, self.elapsed + self.pace, False
        loss = 1.2 + 4.3 / math.sqrt(1 + self.step / 5) + self.random.gauss(0, 0.02)
        if self.fault and self.step == self.fault_step:
            FAULTS[self.fault]()
            loss = math.nan if self.fault == "nan" else loss
        self._record(loss)
        if not math.isfinite(loss):
            self._event("nonfinite", message="loss/ce is nan")
            self.stop = True
        elif self.step % self.checkpoint_every == 0:
            self.save()
            cap_log(self.run.log_file)

    def _record(self, loss: float) -> None:
        record = {"step": self.step, "attempt": self.attempt, "tokens": self.step * TOKENS_PER_STEP}
        record |= {"time": time.time(), "elapsed": self.elapsed, "loss/ce": loss, "loss/total": loss}
        record |= {"training/grad_norm": 0.5 + abs(self.random.gauss(0, 0.1)), "training/lr/matrix": 0.02}
        record |= {"throughput/tokens_per_sec": TOKENS_PER_STEP / max(self.pace, 1e-3), "mhc/composite_gain": 1.0}
        record |= {"mhc/forward_norm_ratio": 2.0, "mhc/backward_norm_ratio": 1.5, "mhc/stream_cosine": 0.4}
        if self.step % self.eval_every == 0:
            record |= {"eval/ce": loss + 0.1, "eval/bits_per_byte": (loss + 0.1) / math.log(2)}
        self.metrics.write(record)
        self.status.update(step=self.step, tokens=self.step * TOKENS_PER_STEP)
        _log("INFO", self.step, f"loss {loss:.4f}")

    def save(self) -> None:
        """Commit a tiny checkpoint of this step and keep the newest two."""

        def build(folder: Path) -> None:
            (folder / "model.safetensors").write_bytes(random.Random(self.step).randbytes(4096))
            (folder / "state.json").write_text(json.dumps({"step": self.step, "elapsed": self.elapsed}))

        target = manifest.step_folder(self.run.checkpoints_dir, self.step)
        manifest.commit(build, target, {"step": self.step})
        manifest.retain(self.run.checkpoints_dir, 2)
        self.saved = True
        self._event("checkpoint", path=target.name)
        self.stop = self.stop or self.stop_after_checkpoint

    def _sample(self) -> None:
        self.run.sample_file(self.step).write_text(f"def step_{self.step}():\n    return {self.step}\n")
        self._event("sample", path=self.run.sample_file(self.step).name)

    def _obey(self) -> None:
        for command in [] if self.deaf else self.inbox.poll():
            self._take(command)
        if self.paused and not self.stop:
            self.status.update(state="paused", phase="paused")
            self._event("paused")
            while self.paused and not self.stop:
                time.sleep(0.02)
                for command in self.inbox.poll():
                    self._take(command)
            self.status.update(state="running", phase="training")

    def _take(self, command: Command) -> None:
        self._event("acknowledged", command=command.name)
        match command.name:
            case "stop":
                self.stop = True
            case "stop-after-checkpoint":
                self.stop_after_checkpoint = True
            case "checkpoint":
                self.save()
            case "pause" | "resume":
                self.paused = command.name == "pause"
            case "sample":
                self._sample()

    def _end(self) -> int:
        if self.fault == "nan" and self.step == self.fault_step:
            self.status.finish("diverged", 4, "loss/ce is nan")
            return 4
        if not self.saved and self.step:
            self.save()
        state = "finished" if self.step >= self.steps else "stopped"
        if state == "finished":
            self._sample()
        self._event(state)
        self.status.finish(state, self.exit_code, f"{state} at step {self.step}")
        return self.exit_code

    def _event(self, kind: str, **facts: object) -> None:
        self.events.write({"kind": kind, "step": self.step, "attempt": self.attempt, "time": time.time(), **facts})

    def _signalled(self, number: int, _frame: object) -> None:
        if self.exit_code:
            os._exit(self.exit_code)
        self.stop, self.exit_code = True, EXIT_CODES[signal.Signals(number)]


def _configured_steps(run: RunFolder) -> int:
    try:
        table = tomllib.loads(configuration_file(run).read_text())
    except (OSError, tomllib.TOMLDecodeError):
        return 50
    return table.get("training", {}).get("steps", 50)


def _log(level: str, step: int, text: str) -> None:
    print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {level:<7} step {step:>6}  {text}", flush=True)


def main() -> int:
    faulthandler.enable()
    signal.alarm(LIFETIME)
    try:
        return FakeTrainer(RunFolder(Path(sys.argv[1]))).main()
    except NanoError as error:
        print(error, file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
