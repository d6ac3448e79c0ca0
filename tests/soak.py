"""`python -m tests.soak --kills 200`: kill a real training run at random, again and again, until it is done.

Its final weights, optimizer state, counters and curve must equal those of a run that nothing interrupted. A run that ends
before there were enough kills is followed by another.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nanocore.config.schema import Config
from nanocore.runs.create import create_run
from nanocore.runs.layout import RunFolder
from nanocore.runs.status import read_status
from tests.forked import start_real
from tests.state_of import state_of
from tests.techniques import GALORE, MOE, SMALL
from tests.tiny import tiny_config

HARD = (
    *SMALL, *GALORE, *MOE, "optimizer.state=int8", "optimizer.stochastic_rounding=true", "mhc.streams=2", "data.workers=2",
    "training.accumulation=2", "training.steps=24", "checkpoint.every=2", "checkpoint.keep_last=2",
)  # fmt: skip
LONGEST = 0.6  # of the time of an uninterrupted run: as long as a kill may wait


@dataclass
class Soak:
    """What was done: kills by the phase they fell into, and runs that came through all of theirs."""

    phases: Counter[str] = field(default_factory=Counter)
    runs: int = 0

    @property
    def kills(self) -> int:
        return self.phases.total()


def soak(root: Path, kills: int, seed: int) -> Soak:
    """Kill runs in `root` until there were `kills`. AssertionError when one comes out different."""
    os.environ["NANOCONSOLE_CACHE"] = str(root / "cache")
    config, chance, done = tiny_config(*HARD), random.Random(seed), Soak()
    whole, seconds = _uninterrupted(root, config)
    expected, longest = state_of(whole), LONGEST * seconds
    while done.kills < kills:
        run = create_run(root, config, name=f"killed-{done.runs}")
        while not _finished_before(run, chance.uniform(0.0, longest), done):
            pass
        found = state_of(run)
        bad = [part for part in expected if found[part] != expected[part]]
        assert not bad, f"{run.path} differs in {', '.join(bad)} after {done.kills} kills (seed {seed})"
        done.runs += 1
    return done


def _uninterrupted(root: Path, config: Config) -> tuple[RunFolder, float]:
    """A run to compare with, and the seconds it took."""
    run = create_run(root, config, name="whole")
    began = time.monotonic()
    code = os.waitstatus_to_exitcode(os.waitpid(start_real(run), 0)[1])
    assert code == 0, run.log_file.read_text()
    return run, time.monotonic() - began


def _finished_before(run: RunFolder, seconds: float, done: Soak) -> bool:
    """Train and kill after so long, by turns from the start or from the first step; whether it had reached its end."""
    pid, from_start = start_real(run), done.kills % 2 == 0
    deadline = time.monotonic() + seconds if from_start else math.inf
    while time.monotonic() < deadline:
        if deadline == math.inf and _trains(run, pid):
            deadline = time.monotonic() + seconds / 2
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            assert os.waitstatus_to_exitcode(status) == 0, run.log_file.read_text()
            return True
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in (0, -signal.SIGKILL), run.log_file.read_text()
    if code == 0:
        return True
    status = read_status(run)
    done.phases[status.phase if status and status.pid == pid else "before its first word"] += 1
    return False


def _trains(run: RunFolder, pid: int) -> bool:
    status = read_status(run)
    return status is not None and status.pid == pid and status.state == "running"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="nanoconsole-soak-") as folder:
        done = soak(Path(folder), wanted.kills, wanted.seed)
    where = ", ".join(f"{count} {phase}" for phase, count in done.phases.most_common())
    print(f"{done.kills} kills ({where}); {done.runs} runs came out identical to the one that nothing interrupted")


if __name__ == "__main__":
    main()
