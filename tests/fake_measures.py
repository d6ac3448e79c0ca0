"""A fake trainer whose measures follow from its configuration alone, so that a report can be known in advance.

Held-out bits per byte at the end = 2 + 0.1 seed + the variant's effect + a part that differs by seed (see `NOISE`);
MTP costs twice the time a step.
"""

from __future__ import annotations

import faulthandler
import math
import signal
import sys
import tomllib
from pathlib import Path

from nanocore.runs.layout import RunFolder
from nanocore.runs.pace import BASELINE_PACE, OWN_PACE, calibration
from tests.fake_trainer import LIFETIME, TOKENS_PER_STEP, FakeTrainer

BASE_SECONDS = 0.010  # said of each step, not taken
MTP_EFFECT, SLOW_EFFECT, TIME_EFFECT = -0.5, 0.4, 0.03
NOISE = {1: -0.01, 3: 0.01}  # added to the effect by seed


def bits_per_byte(seed: int, *, mtp: bool, slow: bool, shortened: bool) -> float:
    """What a finished run says of the held-out slice."""
    effect = mtp * MTP_EFFECT + slow * SLOW_EFFECT + shortened * TIME_EFFECT
    return 2.0 + 0.1 * seed + effect + (NOISE.get(seed, 0.0) if mtp or slow else 0.0)


class MeasuredTrainer(FakeTrainer):
    """Writes a record with known times and memory each step, held-out measures at the last."""

    def __init__(self, run: RunFolder) -> None:
        super().__init__(run)
        self.config = tomllib.loads(run.config_file.read_text())
        self.timing = calibration(run)
        if self.timing is not None:
            self.steps = self.timing.rounds

    def _record(self, loss: float) -> None:
        if self.timing is not None:
            self._round(self.timing.sets)
            return
        mtp = self.config["mtp"]["horizon"] > 0
        seconds = BASE_SECONDS * (2 if mtp else 1)
        if self.step <= 4:
            seconds *= 50  # warm-up must not count
        record = {"step": self.step, "attempt": self.attempt, "tokens": self.step * TOKENS_PER_STEP}
        record |= {"elapsed": self.step * seconds, "loss/ce": loss, "time/step": seconds}
        record |= {
            "throughput/tokens_per_sec": TOKENS_PER_STEP / seconds,
            "memory/optimizer_bytes": 1048576.0 * (1 + mtp),
        }
        record |= {"memory/rss_bytes": 2097152.0 * (2 if self.step == 3 else 1)}
        if self.step == self.steps:
            record |= self._held_out(mtp)
        self.metrics.write(record)
        self.status.update(step=self.step, tokens=self.step * TOKENS_PER_STEP)

    def _round(self, sets: list[str]) -> None:
        """The machine is half as fast in the second half, which must not matter."""
        base = BASE_SECONDS * (1 if self.step <= self.steps // 2 else 2)
        own = base * (2 if any("mtp" in pair for pair in sets) else 1)
        self.metrics.write({"step": self.step, "attempt": self.attempt, BASELINE_PACE: base, OWN_PACE: own})

    def _held_out(self, mtp: bool) -> dict[str, float]:
        slow = self.config["optimizer"]["matrix_lr"] < 0.01
        shortened = self.run.name.endswith("-time")
        bits = bits_per_byte(self.config["training"]["seed"], mtp=mtp, slow=slow, shortened=shortened)
        return {"eval/bits_per_byte": bits, "eval/ce": bits * math.log(2)}


if __name__ == "__main__":
    faulthandler.enable()
    signal.alarm(LIFETIME)
    sys.exit(MeasuredTrainer(RunFolder(Path(sys.argv[1]))).main())
