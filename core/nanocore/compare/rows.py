"""A variant's line in a table of the report: means over its finished seeds, differences over its pairs."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from nanocore.compare.measures import Measures, Point, reached
from nanocore.compare.results import Comparison, Result, mean, spread
from nanocore.compare.spec import BASELINE
from nanocore.compare.statistics import Paired
from nanocore.compare.verdicts import far_worse, verdict
from nanocore.runs.metrics import STEP_PARTS
from nanocore.runs.pace import StepTimes

MOMENTS = ("exp_avg", "exp_avg_sq", "counters")  # AdamW's and Lion's state, and what is no memory to speak of


def row(
    one: Comparison, has_power: bool | None, far: float | None, times: dict[str, StepTimes], base: Sequence[Result]
) -> dict[str, Any]:
    """`far` is as `verdict` takes it; `times` are those of the calibrations by variant; `base` the baseline's runs."""
    done = [result for result in one.results if result.finished]
    return {
        "variant": one.variant,
        "finished": len(done),
        "seeds": one.seeds,
        "unfinished": [f"{result.run}: {result.reason}" for result in one.results if not result.finished],
        "as_at_steps": bool(done) and all(result.stands_for for result in done),
        "steps": mean(result.step for result in done),
        "tokens": mean(result.tokens for result in done),
        "seconds": mean(result.seconds for result in done),
        **_quality(one, done),
        "far_worse": far_worse(one, far),
        "verdict": verdict(one, has_power, far),
        "tokens_per_second": mean(result.tokens_per_second for result in done),
        "step_seconds": mean(result.step_seconds for result in done),
        "step_seconds_alone": _alone(one.variant, times),
        "step_ratio_alone": _ratio(times.get(one.variant)),
        "part_ratios_alone": times[one.variant].parts if one.variant in times else {},
        "optimizer_bytes": mean(result.optimizer_bytes for result in done),
        "matrix_state_bytes": mean(_matrix_state(result) for result in done),
        "peak_bytes": max((result.peak_bytes for result in done if result.peak_bytes is not None), default=None),
        "peak_of": done[0].peak_of if done else "",
        **_cost([result.measures for result in done if result.measures is not None]),
        "to_baseline": _to_baseline(done, base),
    }


def _quality(one: Comparison, done: list[Result]) -> dict[str, Any]:
    return {
        "bits_per_byte": mean(result.bits_per_byte for result in done),
        "bits_per_byte_deviation": spread(result.bits_per_byte for result in done),
        "ce": mean(result.ce for result in done),
        "ce_deviation": spread(result.ce for result in done),
        "difference": _paired(one.bits),
        "ce_difference": _paired(one.ce),
        "ce_difference_percent": _paired(one.ce_percent),
        "corrected_p": one.corrected_p,
    }


def _cost(found: list[Measures]) -> dict[str, Any]:
    """Seconds a step by part and between steps, and what the device and the technique did meanwhile."""
    return {
        "parts": {part: mean(each.parts.get(part) for each in found) for part in STEP_PARTS},
        "between_steps_seconds": mean(each.between_steps for each in found),
        "data_wait_share": mean(each.waiting for each in found),
        "utilisation": mean(each.utilisation for each in found),
        "mfu": mean(each.mfu for each in found),
        "kept_fraction": mean(each.kept_fraction for each in found),
        "gain": max((each.gain for each in found if each.gain is not None), default=None),
    }


def _to_baseline(done: list[Result], base: Sequence[Result]) -> dict[str, Any]:
    """Tokens and seconds until the held-out loss was what the baseline of the same seed ended with.

    The baseline's own are to when it first had that loss, which is before its end where its curve dips below it.
    `reached` of `seeds` pairs got there. All means are over those, the baseline's too, and a share is one mean over the
    other: the mean of each pair's own ratio would be larger the more the times scatter.
    """
    curves = {
        result.seed: result.measures.curve
        for result in base
        if result.finished and result.measures and result.measures.curve
    }
    pairs = [(curves[one.seed], one.measures.curve) for one in done if one.seed in curves and one.measures]
    arrived = [found for theirs, own in pairs if (found := _arrivals(theirs, own))]
    base_tokens, base_seconds, tokens, seconds = (mean(found[place] for found in arrived) for place in range(4))
    return {
        "seeds": len(pairs),
        "reached": len(arrived),
        "tokens": tokens,
        "seconds": seconds,
        "baseline_tokens": base_tokens,
        "baseline_seconds": base_seconds,
        "tokens_share": _share(tokens, base_tokens),
        "seconds_share": _share(seconds, base_seconds),
    }


def _arrivals(base: Sequence[Point], own: Sequence[Point]) -> tuple[float, float, float, float] | None:
    """(tokens, seconds) of the baseline, then of the variant, to the loss the baseline ends with; None if one never has it."""
    first, found = (reached(curve, base[-1].bits_per_byte) for curve in (base, own))
    return (*first, *found) if first is not None and found is not None else None


def _share(own: float | None, base: float | None) -> float | None:
    return own / base if own is not None and base else None


def _matrix_state(result: Result) -> float | None:
    """Bytes of Muon's state as the trainer counted its live tensors: momentum, scales and projectors of the matrices."""
    kinds = (result.facts or {}).get("optimizer_state")
    if not isinstance(kinds, dict):
        return None
    own = [size for kind, size in kinds.items() if kind not in MOMENTS and isinstance(size, int | float)]
    return float(sum(own)) if own else None


def _alone(variant: str, times: dict[str, StepTimes]) -> float | None:
    """A variant's step time alone on the machine: the baseline's median, times the ratio measured beside it."""
    if variant not in (*times, *([BASELINE] if times else [])):
        return None
    base = statistics.median(each.baseline for each in times.values())
    return base * (times[variant].ratio if variant in times else 1.0)


def _ratio(times: StepTimes | None) -> dict[str, float] | None:
    """The calibrated step time as a multiple of the baseline's, with its interval."""
    return {"ratio": times.ratio, "low": times.low, "high": times.high} if times is not None else None


def _paired(values: Paired | None) -> dict[str, Any] | None:
    return asdict(values) if values is not None else None
