"""How many steps an experiment's runs train in a given time on this machine, as many side by side as there will be.

Machines differ several times over, and one machine from hour to hour: an experiment that is to take two hours says how long
a run trains, and what that is in steps is measured before it begins.
"""

from __future__ import annotations

import math
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from nanocore.compare.spec import WARM_UP, Spec
from nanocore.config.resolve import resolve
from nanocore.config.schema import Config
from nanocore.config.toml import load
from nanocore.errors import ResourceError
from nanocore.runs.create import create_run, read_run
from nanocore.runs.layout import RunFolder, list_runs
from nanocore.runs.liveness import observe
from nanocore.runs.pace import median_of
from nanocore.runs.spawn import start_detached

PROBE_SECONDS = 20
ROUND = 10  # steps are rounded up to this, so that nobody reads precision into them


def known_steps(spec: Spec, root: Path) -> int:
    """Steps of the experiment's runs that were made before, with whichever seeds; 0 where there are none."""
    runs = (run for run in list_runs(root) if run.name.startswith(f"{spec.name}-") and _has_its_steps(run, spec.name))
    return next((load(run.config_file).training.steps for run in runs), 0)


def _has_its_steps(run: RunFolder, experiment: str) -> bool:
    """Whether it is a run of the experiment with the steps that all are made with: at equal time it gets its own."""
    facts = read_run(run).get("experiment")
    return isinstance(facts, dict) and facts.get("name") == experiment and facts.get("kind") in ("steps", "calibration")


def steps_in(spec: Spec, seconds: float, slots: int) -> tuple[int, float]:
    """Steps of the baseline in so many seconds, `slots` of it side by side, and the seconds that a step takes.

    Trains for 20 s, in a folder that is removed. Raises ResourceError when the baseline cannot be trained here.
    """
    config = _probe(spec)
    with tempfile.TemporaryDirectory(prefix="nanoconsole-length-") as folder:
        runs = [create_run(Path(folder), config, name=f"length-{slot}") for slot in range(slots)]
        with _training(runs, config.hardware.threads) as processes:
            for process in processes:
                process.wait()
        step = max(_step_seconds(run) for run in runs)
    return ROUND * math.ceil(seconds / step / ROUND), step


def _probe(spec: Spec) -> Config:
    """The baseline, trained for a moment: nothing is evaluated or saved on the way."""
    short = [f"training.duration={PROBE_SECONDS}s", f"training.seed={spec.seeds[0]}"]
    quiet = ["evaluation.every=0", "evaluation.tokens=4096", "evaluation.sample_every=0", "checkpoint.every=0"]
    return resolve(spec.preset, [f"hardware.threads={spec.threads}", *spec.sets, *quiet, *short])


@contextmanager
def _training(runs: Sequence[RunFolder], threads: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """A trainer for each run, all at once; those that still work are ended with the block."""
    processes: list[subprocess.Popen[bytes]] = []
    try:
        processes.extend(start_detached("nanocore.train", run.path, run.log_file, threads) for run in runs)
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _step_seconds(run: RunFolder) -> float:
    """The median after the first steps, or, where a step takes seconds, of all."""
    found = median_of(run, "time/step", WARM_UP) or median_of(run, "time/step", 0)
    if observe(run).state != "finished" or not found:
        what = f"the baseline's step could not be timed: {observe(run).text}"
        raise ResourceError(what, fix="train it alone to see why, or say how many with --steps")
    return found
