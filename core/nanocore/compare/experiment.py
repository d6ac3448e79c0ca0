"""An experiment as ordinary runs: planned in balanced order, made in the run root, put into the queue.

Every run is named NAME-VARIANT-sSEED, with -time at equal time, and NAME-VARIANT-calibration for the short one, alone on the
machine, that times a variant beside the baseline. Nothing else is kept: an experiment is continued from its file and runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from nanocore.compare.fitting import RESERVED
from nanocore.compare.order import balanced
from nanocore.compare.spec import BASELINE, POWER_CHECK, Spec, Variant
from nanocore.config.continuation import resume_conflicts
from nanocore.config.fields import changed, get
from nanocore.config.literals import literal
from nanocore.config.resolve import resolve, target_path
from nanocore.config.schema import Config
from nanocore.config.toml import load
from nanocore.errors import ConfigError, UsageError
from nanocore.runs.create import create_run, read_run
from nanocore.runs.layout import RunFolder
from nanocore.runs.liveness import observe
from nanocore.runs.named import refuse_missing
from nanocore.runs.pace import Pace
from nanocore.runs.queue import Entry, add, read_queue

Kind = Literal["calibration", "steps", "time"]
RATES = ("optimizer.matrix_lr", "optimizer.embedding_lr", "optimizer.scalar_lr")
POWER_DIVISOR = 8  # a learning rate so much too small must lose, else the comparison sees nothing
KEPT = ("finished", "diverged")  # states with a result that another attempt would not change


@dataclass(frozen=True)
class Planned:
    """One run of an experiment. At equal time the steps of its configuration are set when it begins (`pace`).

    A calibration has the baseline's configuration, and the variant's overrides beside it (`sets`).
    """

    name: str
    variant: str
    seed: int
    kind: Kind
    config: Config
    pace: Pace | None = None
    sets: tuple[str, ...] = ()

    def facts(self, spec: Spec) -> dict[str, Any]:
        """What run.json says of the run's part in the experiment that it belongs to."""
        facts = {"name": spec.owner(self.variant), "variant": self.variant, "seed": self.seed, "kind": self.kind}
        return facts | ({"sets": list(self.sets), "rounds": spec.calibration_rounds} if self.sets else {})


def variants(spec: Spec) -> dict[str, list[str]]:
    """Overrides by variant: the baseline, the deliberately bad power check, then those of the file."""
    base = resolve(spec.preset, spec.sets)
    slow = [f"{key}={get(base, key) / POWER_DIVISOR!r}" for key in RATES]
    return {BASELINE: [], POWER_CHECK: slow, **{name: _sets(spec, base, part) for name, part in spec.variants.items()}}


def _sets(spec: Spec, base: Config, part: Variant) -> list[str]:
    """A variant's overrides; of a preset all that differs from the baseline, but for what the experiment sets."""
    if not part.preset:
        return list(part.sets)
    own = resolve(part.preset, [*spec.sets, *part.sets])
    return [
        f"{key}={literal(value)}" for key, _, value in changed(base, own) if key not in (*RESERVED, "hardware.threads")
    ]


def run_name(spec: Spec, variant: str, seed: int, kind: Kind) -> str:
    """The name of a run. The baseline's time is its own, so its runs stand for both kinds."""
    if kind == "calibration":
        return f"{spec.name}-{variant}-calibration"
    return f"{spec.owner(variant)}-{variant}-s{seed}" + ("-time" if kind == "time" and variant != BASELINE else "")


def plan(spec: Spec) -> list[Planned]:
    """All runs in the order in which they are to be made. Raises ConfigError or UsageError for what cannot be run."""
    base, known = str(target_path(spec.preset)), variants(spec)
    columns: list[tuple[str, Kind]] = [(BASELINE, "steps"), (POWER_CHECK, "steps")]
    columns.extend((name, "steps") for name in spec.at("steps"))
    columns.extend((name, "time") for name in spec.at("time"))
    planned = [_calibration(spec, base, name, known[name]) for name in spec.timed()]
    for seed, row in zip(spec.seeds, balanced(len(columns), len(spec.seeds)), strict=True):
        for variant, kind in (columns[index] for index in row):
            config = _variant_config(spec, base, variant, known[variant], seed)
            pace = _pace(spec, variant) if kind == "time" else None
            planned.append(Planned(run_name(spec, variant, seed, kind), variant, seed, kind, config, pace))
    return planned


def _pace(spec: Spec, variant: str) -> Pace:
    """As long as the baseline takes for the experiment's steps; needed always where no run of the same steps could stand for it."""
    tolerance = spec.time_tolerance if variant in spec.at("steps") else 0.0
    return Pace(spec.steps, run_name(spec, variant, spec.seeds[0], "calibration"), tolerance)


def _calibration(spec: Spec, base: str, variant: str, sets: list[str]) -> Planned:
    """The baseline, in whose process the variant trains in turn: nothing is evaluated or saved."""
    config, seed = _config(spec, base, [], spec.steps, spec.seeds[0]), spec.seeds[0]
    return Planned(run_name(spec, variant, seed, "calibration"), variant, seed, "calibration", config, sets=tuple(sets))


def _variant_config(spec: Spec, base: str, variant: str, sets: Sequence[str], seed: int) -> Config:
    """Raises ConfigError with the variant's name before each fault: the overrides may be right and not fit the baseline."""
    try:
        return _config(spec, base, sets, spec.steps, seed)
    except ConfigError as error:
        raise ConfigError([f"variant {variant}: {problem}" for problem in error.problems]) from None


def _config(spec: Spec, base: str, sets: Sequence[str], steps: int, seed: int) -> Config:
    threads = f"hardware.threads={spec.threads}"
    own = [f"training.steps={steps}", f"training.seed={seed}"]
    return resolve(base, [threads, *spec.sets, *sets, *own])


def prepare(spec: Spec, root: Path, *, again: bool, slots: int, argv: Sequence[str] = ()) -> list[str]:
    """Make the runs that are not there and queue all that have no result yet; the names of those queued.

    Without `again` no run of the experiment may exist. With it finished runs are kept, and runs that were stopped or
    crashed go on from their checkpoints. Raises UsageError when a run was made from another configuration, DataError for
    files that are not there, before any run is made.
    """
    planned = plan(spec)
    _check_existing(spec, root, planned, again=again)
    _check_named(root, planned)
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
    for item in sorted(planned, key=lambda item: item.kind == "calibration"):  # the others can name the keys
        run = RunFolder(root / item.name)
        if not run.run_file.is_file():
            continue
        if not again and item.facts(spec)["name"] == spec.name:
            fix = "go on with --continue, look with --report-only, or give the experiment another name"
            raise UsageError("this run of the experiment exists already", where=item.name, fix=fix)
        made = read_run(run).get("experiment")
        wanted = _with_its_seed(item, made)
        if made != wanted.facts(spec):
            raise UsageError("exists, but is no run of this experiment", where=item.name, fix="rename the experiment")
        if different := conflicts(wanted, load(run.config_file)):
            what = f"was made from another configuration: {', '.join(different)}"
            raise UsageError(what, where=item.name, fix="give the changed experiment another name")


def _with_its_seed(item: Planned, made: Any) -> Planned:
    """A calibration as it would be with the seed that it was made with: what a step takes is the same for all seeds."""
    seed = made.get("seed") if isinstance(made, dict) else None
    if item.kind != "calibration" or not isinstance(seed, int):
        return item
    training = item.config.training.model_copy(update={"seed": seed})
    return replace(item, seed=seed, config=item.config.model_copy(update={"training": training}))


def _check_named(root: Path, planned: list[Planned]) -> None:
    """Refuse what a run that is still to be made names and is not there: half an experiment would be left behind."""
    for item in planned:
        if not RunFolder(root / item.name).run_file.is_file():
            refuse_missing(item.config)


def conflicts(item: Planned, existing: Config) -> list[str]:
    """Keys in which an existing run differs from the plan and which a comparison depends on."""
    before, after = existing.training.steps, item.config.training.steps
    steps = [] if item.pace is not None or before == after else [f"training.steps {before} -> {after}"]
    return steps + resume_conflicts(existing, item.config)
