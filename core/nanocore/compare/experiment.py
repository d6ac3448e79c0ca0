"""An experiment as ordinary runs: planned in balanced order, made in the run root, put into the queue.

Every run is named NAME-VARIANT-sSEED, with -time at equal time, and NAME-VARIANT-calibrationROUND for the short runs
alone that measure step times. Nothing else is kept: an experiment is continued from its file and its runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nanocore.compare.order import balanced
from nanocore.compare.spec import BASELINE, POWER_CHECK, WARM_UP, Spec
from nanocore.config.continuation import resume_conflicts
from nanocore.config.fields import get
from nanocore.config.resolve import resolve, target_path
from nanocore.config.schema import Config
from nanocore.config.toml import load
from nanocore.errors import UsageError
from nanocore.runs.create import create_run, read_run
from nanocore.runs.layout import RunFolder
from nanocore.runs.liveness import observe
from nanocore.runs.pace import Pace
from nanocore.runs.queue import Entry, add, read_queue

Kind = Literal["calibration", "steps", "time"]
RATES = ("optimizer.matrix_lr", "optimizer.embedding_lr", "optimizer.scalar_lr")
POWER_DIVISOR = 8  # a learning rate so much too small must lose, else the comparison sees nothing
ROUNDS = 3  # calibrations of each variant, interleaved: what else the machine does moves single ones by a quarter
KEPT = ("finished", "diverged")  # states with a result that another attempt would not change


@dataclass(frozen=True)
class Planned:
    """One run of an experiment. At equal time the steps of its configuration are set when it begins (`pace`)."""

    name: str
    variant: str
    seed: int
    kind: Kind
    config: Config
    pace: Pace | None = None

    def facts(self, spec: Spec) -> dict[str, Any]:
        """What run.json says of the run's part in the experiment that it belongs to."""
        owner = spec.owner(self.variant, self.kind)
        return {"name": owner, "variant": self.variant, "seed": self.seed, "kind": self.kind}


def variants(spec: Spec) -> dict[str, list[str]]:
    """Overrides by variant: the baseline, the deliberately bad power check, then those of the file."""
    base = resolve(spec.preset, spec.sets)
    slow = [f"{key}={get(base, key) / POWER_DIVISOR!r}" for key in RATES]
    return {BASELINE: [], POWER_CHECK: slow, **{name: list(part.sets) for name, part in spec.variants.items()}}


def run_name(spec: Spec, variant: str, seed: int, kind: Kind) -> str:
    """The name of a run. The baseline's time is its own, so its runs stand for both kinds."""
    if kind == "calibration":  # there the seed counts rounds
        return f"{spec.name}-{variant}-calibration{seed}"
    if variant == BASELINE:
        kind = "steps"
    return f"{spec.owner(variant, kind)}-{variant}-s{seed}" + ("-time" if kind == "time" else "")


def plan(spec: Spec) -> list[Planned]:
    """All runs in the order in which they are to be made. Raises ConfigError or UsageError for what cannot be run."""
    base, known = str(target_path(spec.preset)), variants(spec)
    columns: list[tuple[str, Kind]] = [(BASELINE, "steps"), (POWER_CHECK, "steps")]
    columns.extend((name, "steps") for name in spec.at("steps"))
    timed = spec.at("time")
    columns.extend((name, "time") for name in timed)
    planned: list[Planned] = []
    if timed:
        names = (BASELINE, *timed)
        planned += [_calibration(spec, base, name, known[name], turn) for turn in _rounds() for name in names]
    for seed, row in zip(spec.seeds, balanced(len(columns), len(spec.seeds)), strict=True):
        for variant, kind in (columns[index] for index in row):
            config = _config(spec, base, known[variant], spec.steps, seed)
            pace = _pace(spec, variant) if kind == "time" else None
            planned.append(Planned(run_name(spec, variant, seed, kind), variant, seed, kind, config, pace))
    return planned


def _pace(spec: Spec, variant: str) -> Pace:
    """As long as the baseline takes for the experiment's steps, by the step times of both variants' calibrations."""
    own, base = (tuple(run_name(spec, name, turn, "calibration") for turn in _rounds()) for name in (variant, BASELINE))
    return Pace(steps=spec.steps, baseline=base, own=own, warm_up=WARM_UP)


def _rounds() -> range:
    return range(1, ROUNDS + 1)


def _calibration(spec: Spec, base: str, variant: str, sets: list[str], turn: int) -> Planned:
    """A short run: every step is recorded, and it is evaluated and saved only at its end."""
    quick = ["logging.every=1", "evaluation.every=0", "evaluation.sample_every=0", "checkpoint.every=0"]
    config = _config(spec, base, [*sets, *quick], spec.calibration_steps, spec.seeds[0])
    return Planned(run_name(spec, variant, turn, "calibration"), variant, turn, "calibration", config)


def _config(spec: Spec, base: str, sets: Sequence[str], steps: int, seed: int) -> Config:
    threads = f"hardware.threads={spec.threads}"
    own = [f"training.steps={steps}", f"training.seed={seed}"]
    return resolve(base, [threads, *spec.sets, *sets, *own])


def prepare(spec: Spec, root: Path, *, again: bool, slots: int, argv: Sequence[str] = ()) -> list[str]:
    """Make the runs that are not there and queue all that have no result yet; the names of those queued.

    Without `again` no run of the experiment may exist. With it finished runs are kept, and runs that were stopped or
    crashed go on from their checkpoints. Raises UsageError when a run was made from another configuration.
    """
    planned = plan(spec)
    _check_existing(spec, root, planned, again=again)
    queued = {entry.run for entry in read_queue(root).pending()}
    entries = []
    for item in planned:
        run = RunFolder(root / item.name)
        if not run.run_file.is_file():
            facts = item.facts(spec)
            create_run(root, item.config, preset=_label(spec), name=item.name, argv=argv, experiment=facts)
        elif item.name in queued or observe(run).state in KEPT:
            continue
        own = 1 if item.kind == "calibration" else slots
        entries.append(Entry(run=item.name, slots=own, experiment=spec.name, pace=item.pace))
    add(root, entries)
    return [entry.run for entry in entries]


def _label(spec: Spec) -> str:
    return Path(spec.preset).name.removesuffix(".toml")


def _check_existing(spec: Spec, root: Path, planned: list[Planned], *, again: bool) -> None:
    """Refuse to mix runs of another experiment, or of another version of this one, into the comparison."""
    for item in planned:
        run = RunFolder(root / item.name)
        if not run.run_file.is_file():
            continue
        if not again and item.facts(spec)["name"] == spec.name:
            fix = "go on with --continue, look with --report-only, or give the experiment another name"
            raise UsageError("this run of the experiment exists already", where=item.name, fix=fix)
        if read_run(run).get("experiment") != item.facts(spec):
            raise UsageError("exists, but is no run of this experiment", where=item.name, fix="rename the experiment")
        if different := conflicts(item, load(run.config_file)):
            what = f"was made from another configuration: {', '.join(different)}"
            raise UsageError(what, where=item.name, fix="give the changed experiment another name")


def conflicts(item: Planned, existing: Config) -> list[str]:
    """Keys in which an existing run differs from the plan and which a comparison depends on."""
    before, after = existing.training.steps, item.config.training.steps
    steps = [] if item.pace is not None or before == after else [f"training.steps {before} -> {after}"]
    return steps + resume_conflicts(existing, item.config)
