"""`bench train`: tokens a second and the time of a step's parts, beside a plain float torch model of the same shape.

Real batches, real optimizers. The sides train in turn, a few steps at a time, so that what else the machine does falls
on all of them; medians count.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from nanocore.bench import machine as machines
from nanocore.bench.host import warnings
from nanocore.bench.results import MODES
from nanocore.bench.train_sides import PLAIN, Side, sides
from nanocore.config.resolve import resolve
from nanocore.data.prepare import prepare
from nanocore.errors import ConfigError
from nanocore.runs.layout import cache_root
from nanocore.runs.metrics import STEP_PARTS
from nanocore.runs.text import sanitize_line
from nanocore.train.hardware import Machine, choose_machine
from nanocore.wording import counted

ROUNDS, STEPS, WARM_UP = 5, 4, 2


@dataclass
class Racer:
    """One model in one mode. `samples` are seconds by part of each timed step; `reason` says why it has none."""

    model: str
    mode: str
    side: Side
    reason: str = ""
    samples: list[dict[str, float]] = field(default_factory=list)

    def train(self, steps: int) -> list[dict[str, float]]:
        """Times of some steps; none once one went wrong, with the reason."""
        if self.reason:
            return []
        try:
            return [self.side.step() for _ in range(steps)]
        except Exception as error:  # torch.compile fails in many ways, none of which is ours
            lines = str(error).strip().splitlines() or [""]
            self.reason = sanitize_line(f"not run: {type(error).__name__}: {lines[0]}", 300)
            return []


def bench_train(
    preset: str,
    sets: Sequence[str],
    *,
    threads: Sequence[int],
    modes: Sequence[str],
    rounds: int,
    progress: Callable[[str], None],
) -> dict[str, Any]:
    """A row for every model, mode and number of threads; plain data. Raises UsageError, ConfigError or DataError.

    Of `threads` only a CPU knows: on a GPU there is one row for each model and mode, with torch's own number.
    """
    config, found = resolve(preset, sets), machines.facts()
    machine = choose_machine(config.hardware)
    corpus = prepare(config.data, cache=cache_root())
    rows: list[dict[str, Any]] = []
    for count in [torch.get_num_threads()] if machine.device.type == "cuda" else threads:
        torch.set_num_threads(count)
        racers = [
            Racer(name, mode, side, _refusal(preset, sets, name, mode))
            for mode in modes
            for name, side in sides(preset, sets, mode, corpus, machine)
        ]
        _race(racers, count, rounds, progress)
        rows += [_row(racer, count, machine) for racer in racers]
        torch.compiler.reset()
    return {
        "machine": found | {"device": machine.facts(), "peak_flops": machine.peak_flops},
        "warnings": warnings(found),
        "preset": preset,
        "sets": list(sets),
        "tokens_per_step": config.tokens_per_step,
        "rounds": rounds,
        "rows": _with_ratios(rows),
    }


def _refusal(preset: str, sets: Sequence[str], name: str, mode: str) -> str:
    """Why a model is not compiled; "" where it can be. The trainer would refuse it too, or compile less than all of it."""
    if name == PLAIN or mode != "compiled":
        return ""
    try:
        resolve(preset, [*sets, "hardware.compile=true"])
    except ConfigError as error:
        return sanitize_line(f"not run: {error}", 300)
    return ""


def _race(racers: list[Racer], threads: int, rounds: int, progress: Callable[[str], None]) -> None:
    for racer in racers:
        progress(f"{racer.model}, {racer.mode}, {counted(threads, 'thread')}: first steps")
        racer.train(WARM_UP)
    for turn in range(1, rounds + 1):
        progress(f"{counted(threads, 'thread')}: round {turn} of {rounds}")
        for racer in racers:
            racer.samples += racer.train(STEPS)


def _row(racer: Racer, threads: int, machine: Machine) -> dict[str, Any]:
    """Medians of the timed steps. MFU only where the card's peak is known."""
    parts = {
        part: statistics.median(times[part] for times in racer.samples) if racer.samples else None
        for part in STEP_PARTS
    }
    seconds = statistics.median(sum(times.values()) for times in racer.samples) if racer.samples else None
    rate = racer.side.tokens / seconds if seconds else None
    peak = machine.peak_flops
    return {
        "model": racer.model,
        "mode": racer.mode,
        "threads": threads,
        "parameters": racer.side.parameters,
        "tokens_per_second": rate,
        "step_seconds": seconds,
        "parts": parts,
        "mfu": rate * racer.side.flops_per_token / peak if rate and peak else None,
        "reason": racer.reason,
    }


def _with_ratios(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each row with its speed against the plain torch model of the same threads, eager."""
    plain = {
        row["threads"]: row["tokens_per_second"] for row in rows if (row["model"], row["mode"]) == (PLAIN, MODES[0])
    }
    found = []
    for row in rows:
        rate, base = row["tokens_per_second"], plain.get(row["threads"])
        found.append({**row, "against_plain": rate / base if rate and base else None})
    return found
