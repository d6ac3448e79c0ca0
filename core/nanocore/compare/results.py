"""What the runs of an experiment reached, read from their folders, and how variants differ from the baseline."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nanocore.compare.experiment import Kind, Planned
from nanocore.compare.measures import Measures, measures, number, training_seconds
from nanocore.compare.spec import BASELINE, POWER_CHECK, WARM_UP
from nanocore.compare.statistics import Paired, holm, paired
from nanocore.runs.create import read_run
from nanocore.runs.curve import newest_attempts
from nanocore.runs.layout import RunFolder
from nanocore.runs.liveness import observe
from nanocore.runs.pace import StepTimes, median_of, same_time, step_times
from nanocore.runs.records import Record, read_all

NO_RUN = "missing"


@dataclass(frozen=True)
class Result:
    """One run. `bits_per_byte` and `ce` are of the held-out slice at the end of a finished run, else None.

    `state` is the run's, or "missing"; `reason` says in words why there is no result. Times are in seconds: `seconds`
    those of all training steps, step time and throughput medians after the first ones. `peak_bytes` is the largest
    memory that the process had as a record was written (of the GPU, if used, the largest at any time).
    """

    run: str
    variant: str
    seed: int
    kind: Kind
    state: str
    reason: str
    step: int = 0
    tokens: int = 0
    seconds: float | None = None
    bits_per_byte: float | None = None
    ce: float | None = None
    step_seconds: float | None = None
    tokens_per_second: float | None = None
    optimizer_bytes: float | None = None
    peak_bytes: float | None = None
    peak_of: str = ""
    measures: Measures | None = None
    stands_for: str = ""  # the run that was not needed beside this one
    times: StepTimes | None = None  # of a calibration
    facts: dict[str, Any] | None = None

    @property
    def finished(self) -> bool:
        return self.times is not None or (self.bits_per_byte is not None and self.ce is not None)

    @property
    def processor_share(self) -> float | None:
        """How much of the processor it had, where it computed on one thread of a CPU: on a free machine nearly all.

        Of more threads, which wait for each other, the share says nothing about other programs.
        """
        facts = self.facts or {}
        machine = facts.get("machine")
        alone = isinstance(machine, dict) and machine.get("device") == "cpu" and machine.get("threads") == 1
        return (
            (number(facts.get("processor_share")) if self.measures is None else self.measures.utilisation)
            if alone
            else None
        )


@dataclass(frozen=True)
class Comparison:
    """A variant against the baseline: differences (variant minus baseline) of pairs with the same seed, None without.

    `ce_percent` is the difference of the held-out cross-entropy relative to the baseline's. `corrected_p` is Holm's
    over the planned variants of the same kind. A negative difference is better; `least` is the smallest of bits per byte.
    """

    variant: str
    kind: Kind
    seeds: int
    results: list[Result]
    bits: Paired | None
    ce: Paired | None
    ce_percent: Paired | None
    least: float | None = None
    corrected_p: float | None = None


def read_result(root: Path, item: Planned) -> Result:
    """What a planned run reached. Never raises for a run that is missing or damaged: its state says so."""
    run = RunFolder(root / item.name)
    part = (item.name, item.variant, item.seed, item.kind)
    if not run.run_file.is_file():
        return Result(*part, NO_RUN, "it was not made yet")
    state = observe(run)
    records = newest_attempts(read_all(run.metrics_file))
    step = records[-1]["step"] if records else 0
    if item.kind == "calibration":
        times = step_times(run) if state.state == "finished" else None
        why = "" if times else "finished without a round" if state.state == "finished" else state.text
        return Result(*part, state.state, why, step=step, times=times, facts=read_run(run))
    bits, ce = _final(records, "eval/bits_per_byte"), _final(records, "eval/ce")
    whole = state.state == "finished" and bits is not None and ce is not None
    reason = "" if whole else _why(state.state, state.text, step, item)
    gpu = _largest(records, "memory/gpu_bytes")
    return Result(
        *part,
        state.state,
        reason,
        step=step,
        tokens=int(_last(records, "tokens") or 0),
        seconds=training_seconds(records),
        bits_per_byte=bits if whole else None,
        ce=ce if whole else None,
        step_seconds=median_of(run, "time/step", WARM_UP),
        tokens_per_second=median_of(run, "throughput/tokens_per_sec", WARM_UP),
        optimizer_bytes=_last(records, "memory/optimizer_bytes"),
        peak_bytes=gpu if gpu is not None else _largest(records, "memory/rss_bytes"),
        peak_of="GPU" if gpu is not None else "process",
        measures=measures(records),
        facts=read_run(run),
    )


def stand_in(results: list[Result], tolerance: float) -> list[Result]:
    """Runs at equal time that were not needed, since the variant takes the baseline's time, replaced by those of the same steps."""
    free = {result.variant for result in results if result.times is not None and same_time(result.times, tolerance)}
    at_steps = {(result.variant, result.seed): result for result in results if result.kind == "steps"}

    def needless(result: Result) -> bool:
        return result.kind == "time" and result.variant in free and not result.finished and not result.step

    return [
        replace(other, kind="time", stands_for=result.run)
        if needless(result) and (other := at_steps.get((result.variant, result.seed)))
        else result
        for result in results
    ]


def compare(results: list[Result], kind: Kind, seeds: int) -> list[Comparison]:
    """Every variant of a kind against the baseline, which stands first; the power check is in no correction.

    A variant without a p counts as one with p = 1: an experiment half done must not correct by fewer than a whole one.
    """
    base = {result.seed: result for result in results if result.variant == BASELINE and result.kind == "steps"}
    found = [_against(name, kind, seeds, base, _of(results, name, kind)) for name in _names(results, kind)]
    known = {one.variant: one.bits.p for one in found if one.bits is not None and one.bits.p is not None}
    family = [one.variant for one in found if one.variant not in (BASELINE, POWER_CHECK)]
    corrected = holm({name: known.get(name, 1.0) for name in family})
    first = Comparison(BASELINE, kind, seeds, list(base.values()), None, None, None)
    others = (one for one in found if one.variant != BASELINE)
    return [
        first,
        *(replace(one, corrected_p=corrected.get(one.variant) if one.variant in known else None) for one in others),
    ]


def mean(values: Iterable[float | None]) -> float | None:
    """The mean of the numbers that are there; None without any."""
    numbers = [value for value in values if value is not None]
    return statistics.fmean(numbers) if numbers else None


def spread(values: Iterable[float | None]) -> float | None:
    """The standard deviation over the seeds that are there; None from fewer than two."""
    numbers = [value for value in values if value is not None]
    return statistics.stdev(numbers) if len(numbers) > 1 else None


def _names(results: list[Result], kind: Kind) -> list[str]:
    return list(dict.fromkeys(result.variant for result in results if result.kind == kind))


def _of(results: list[Result], variant: str, kind: Kind) -> list[Result]:
    return [result for result in results if result.variant == variant and result.kind == kind]


def _against(name: str, kind: Kind, seeds: int, base: dict[int, Result], own: list[Result]) -> Comparison:
    pairs = [(base[one.seed], one) for one in own if one.finished and one.seed in base and base[one.seed].finished]
    bits = [_value(b.bits_per_byte) - _value(a.bits_per_byte) for a, b in pairs]
    ce = [_value(b.ce) - _value(a.ce) for a, b in pairs]
    percent = [100 * change / _value(a.ce) for change, (a, _) in zip(ce, pairs, strict=True)]
    measured = [paired(values) if values else None for values in (bits, ce, percent)]
    return Comparison(name, kind, seeds, own, measured[0], measured[1], measured[2], min(bits, default=None))


def _value(number: float | None) -> float:
    assert number is not None  # only finished runs are paired
    return number


def _why(state: str, text: str, step: int, item: Planned) -> str:
    """Why a run has no result, in words."""
    if state == "finished":
        return "finished without a finite held-out loss"
    if item.pace is not None and not step:
        return f"{text}; how long it is to be comes from {item.pace.calibration}"
    steps = f" of {item.config.training.steps}" if item.pace is None else ""
    return f"{text} (step {step}{steps})"


def _final(records: list[Record], key: str) -> float | None:
    """The metric as it was last written, when that was a finite number."""
    for record in reversed(records):
        if key in record:
            return number(record[key])
    return None


def _last(records: list[Record], key: str) -> float | None:
    return next((value for record in reversed(records) if (value := number(record.get(key))) is not None), None)


def _largest(records: list[Record], key: str) -> float | None:
    values = [value for record in records if (value := number(record.get(key))) is not None]
    return max(values, default=None)
