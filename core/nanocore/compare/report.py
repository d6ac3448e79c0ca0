"""The report of an experiment as data: losers, ties and failures stand in it like the others."""

from __future__ import annotations

import statistics
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec

from nanocore.compare.experiment import plan, variants
from nanocore.compare.results import Comparison, Result, compare, mean, power, read_result, spread, verdict
from nanocore.compare.spec import BASELINE, Spec
from nanocore.compare.statistics import CONFIDENCE, Paired
from nanocore.config.fields import changed
from nanocore.config.literals import literal
from nanocore.config.resolve import resolve

SCHEMA = 1
_POWER = {
    True: "the deliberately bad variant (learning rates / 8) came out worse: the comparison can see a difference",
    False: "NO POWER: the deliberately bad variant (learning rates / 8) did not come out worse; "
    "nothing can be concluded from variants that look equal",
    None: "not known: the deliberately bad variant (learning rates / 8) needs finished runs of two seeds or more",
}


def report(spec: Spec, root: Path) -> dict[str, Any]:
    """Everything known of an experiment now, as plain data for JSON. Raises ConfigError for a spec that cannot run."""
    planned = plan(spec)
    results = [read_result(root, item) for item in planned]
    at_steps = compare(results, "steps", len(spec.seeds))
    has_power = power(at_steps)
    alone = _alone(results)
    tables = {"steps": at_steps}
    if spec.at("time"):
        tables["time"] = compare(results, "time", len(spec.seeds))
    return {
        "schema": SCHEMA,
        "name": spec.name,
        "preset": spec.preset,
        "sets": spec.sets,
        "steps": spec.steps,
        "seeds": spec.seeds,
        "threads": spec.threads,
        "confidence": CONFIDENCE,
        "complete": all(result.finished for result in results),
        "power": has_power,
        "power_words": _POWER[has_power],
        "variants": {name: _differences(spec, sets) for name, sets in variants(spec).items()},
        "equal_steps": [_row(one, has_power, alone) for one in tables["steps"]],
        "equal_time": [_row(one, has_power, alone) for one in tables.get("time", [])],
        "machines": _machines(results),
        "warnings": _warnings(results),
        "runs": [_plain(result) for result in results],
    }


def _plain(result: Result) -> dict[str, Any]:
    times = msgspec.to_builtins(result.times) if result.times else None
    return {**{key: value for key, value in vars(result).items() if key != "facts"}, "times": times}


def _alone(results: list[Result]) -> dict[str, float | None]:
    """Each variant's step time alone on the machine: the baseline's median, times the ratio measured beside it."""
    times = {result.variant: result.times for result in results if result.times is not None}
    if not times:
        return {}
    base = statistics.median(each.baseline for each in times.values())
    return {BASELINE: base, **{variant: base * each.ratio for variant, each in times.items()}}


def _differences(spec: Spec, sets: list[str]) -> list[str]:
    """`key baseline -> variant` for every key that differs."""
    base, own = resolve(spec.preset, spec.sets), resolve(spec.preset, [*spec.sets, *sets])
    return [f"{key} {literal(old)} -> {literal(new)}" for key, old, new in changed(base, own)]


def _row(one: Comparison, has_power: bool | None, alone: dict[str, float | None]) -> dict[str, Any]:
    """A variant's line in a table: means over its finished seeds, differences over its pairs."""
    done = [result for result in one.results if result.finished]
    return {
        "variant": one.variant,
        "finished": len(done),
        "seeds": one.seeds,
        "unfinished": [f"{result.run}: {result.reason}" for result in one.results if not result.finished],
        "steps": mean(result.step for result in done),
        "tokens": mean(result.tokens for result in done),
        "seconds": mean(result.seconds for result in done),
        "bits_per_byte": mean(result.bits_per_byte for result in done),
        "bits_per_byte_deviation": spread(result.bits_per_byte for result in done),
        "ce": mean(result.ce for result in done),
        "ce_deviation": spread(result.ce for result in done),
        "difference": _paired(one.bits),
        "ce_difference": _paired(one.ce),
        "ce_difference_percent": _paired(one.ce_percent),
        "corrected_p": one.corrected_p,
        "verdict": verdict(one, has_power),
        "tokens_per_second": mean(result.tokens_per_second for result in done),
        "step_seconds": mean(result.step_seconds for result in done),
        "step_seconds_alone": alone.get(one.variant),
        "optimizer_bytes": mean(result.optimizer_bytes for result in done),
        "peak_bytes": max((result.peak_bytes for result in done if result.peak_bytes is not None), default=None),
        "peak_of": done[0].peak_of if done else "",
    }


def _paired(values: Paired | None) -> dict[str, Any] | None:
    return asdict(values) if values is not None else None


def _machines(results: list[Result]) -> list[dict[str, Any]]:
    """The different machines, versions and revisions of the runs; more than one makes times incomparable."""
    found: list[dict[str, Any]] = []
    for result in results:
        facts = result.facts or {}
        if "machine" in facts:
            one = {key: facts.get(key) for key in ("machine", "versions", "git")}
            if one not in found:
                found.append(one)
    return found


def _warnings(results: list[Result]) -> list[str]:
    """What makes the numbers less comparable than they look."""
    found = []
    machines = _machines(results)
    if len(machines) > 1:
        found.append(f"the runs were made on {len(machines)} machines or versions; their times cannot be compared")
    base = {result.seed: result for result in results if result.variant == BASELINE and result.kind == "steps"}
    for result in results:
        other = base.get(result.seed)
        both = other is not None and result.finished and other.finished
        if both and other is not None and result.kind == "steps" and result.tokens != other.tokens:
            found.append(f"{result.run} trained on {result.tokens} tokens, the baseline on {other.tokens}")
    corpora = {str((result.facts or {}).get("corpus")) for result in results if (result.facts or {}).get("corpus")}
    if len(corpora) > 1:
        found.append("the runs read different corpora or tokenizers; only bits per byte compare, if at all")
    return found
