"""The report of an experiment as data: losers, ties and failures stand in it like the others."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec

from nanocore.compare.claims import claims
from nanocore.compare.experiment import Kind, plan, variants
from nanocore.compare.load import busy, load, load_average
from nanocore.compare.results import Comparison, Result, compare, read_result, stand_in
from nanocore.compare.rows import row
from nanocore.compare.spec import BASELINE, POWER_CHECK, Spec
from nanocore.compare.statistics import CONFIDENCE
from nanocore.compare.verdicts import far, power, power_words
from nanocore.config.fields import changed
from nanocore.config.literals import literal
from nanocore.config.resolve import resolve

SCHEMA = 1


def report(spec: Spec, root: Path, command: Sequence[str] = ()) -> dict[str, Any]:
    """Everything known of an experiment now, as plain data for JSON. Raises ConfigError for a spec that cannot run."""
    results = stand_in([read_result(root, item) for item in plan(spec)], spec.time_tolerance)
    kinds: list[Kind] = ["steps", *(["time"] if spec.at("time") else [])]
    compared: dict[Kind, list[Comparison]] = {kind: compare(results, kind, len(spec.seeds)) for kind in kinds}
    tables, loaded = _tables(spec, results, compared), load(results)
    return {
        "schema": SCHEMA,
        "bench": "compare",
        "created": time.time(),
        "command": list(command),
        "name": spec.name,
        "preset": spec.preset,
        "sets": spec.sets,
        "steps": spec.steps,
        "seeds": spec.seeds,
        "threads": spec.threads,
        "confidence": CONFIDENCE,
        "time_tolerance": spec.time_tolerance,
        "complete": all(result.finished for result in results),
        "power": power(compared["steps"]),
        "power_words": power_words(compared["steps"]),
        "variants": {name: _differences(spec, sets) for name, sets in variants(spec).items()},
        "equal_steps": tables["steps"],
        "equal_time": tables.get("time", []),
        "claims": claims(spec, tables, busy=bool(busy(loaded))),
        "machines": _machines(results),
        "load": loaded,
        "warnings": [*busy(loaded), *_warnings(results)],
        "runs": [_plain(result) for result in results],
    }


def _tables(
    spec: Spec, results: list[Result], compared: Mapping[Kind, list[Comparison]]
) -> dict[str, list[dict[str, Any]]]:
    """The rows at equal steps and, if asked for, at equal time, in the order of the file."""
    has_power, worst = power(compared["steps"]), far(compared["steps"])
    times = {result.variant: result.times for result in results if result.times is not None}
    base = [result for result in results if result.variant == BASELINE and result.kind == "steps"]
    places = {name: place for place, name in enumerate([BASELINE, POWER_CHECK, *spec.variants])}
    return {
        kind: [row(one, has_power, worst, times, base) for one in sorted(found, key=lambda one: places[one.variant])]
        for kind, found in compared.items()
    }


def _plain(result: Result) -> dict[str, Any]:
    """A run's figures, and how free the machine was; of its other facts those that name the machine stand in `machines`."""
    times = msgspec.to_builtins(result.times) if result.times else None
    found = asdict(result.measures) if result.measures else None
    loaded = {"processor_share": result.processor_share, "load_average": load_average(result)}
    own = {key: value for key, value in vars(result).items() if key != "facts"}
    return {**own, "times": times, "measures": found, **loaded}


def _differences(spec: Spec, sets: list[str]) -> list[str]:
    """`key baseline -> variant` for every key that differs."""
    base, own = resolve(spec.preset, spec.sets), resolve(spec.preset, [*spec.sets, *sets])
    return [f"{key} {literal(old)} -> {literal(new)}" for key, old, new in changed(base, own)]


def _machines(results: list[Result]) -> list[dict[str, Any]]:
    """The different machines, versions and revisions of the runs; more than one makes times incomparable.

    What a damaged run.json says in no table is left out.
    """
    found: list[dict[str, Any]] = []
    for result in results:
        facts = result.facts or {}
        machine, versions = (
            each if isinstance(each := facts.get(key), dict) else {} for key in ("machine", "versions")
        )
        if machine:
            one = {"machine": machine, "versions": versions, "git": facts.get("git")}
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
