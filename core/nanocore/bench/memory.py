"""`bench memory`: optimizer state, kept activations and peak of a step by technique, the estimate beside the measurement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import psutil
import torch

from nanocore.bench import machine as machines
from nanocore.bench.live_memory import kept_bytes, peak_bytes, state_bytes
from nanocore.config.estimate import Estimate, estimate
from nanocore.config.overrides import parse
from nanocore.config.resolve import resolve
from nanocore.config.schema import Config
from nanocore.errors import ConfigError, UsageError
from nanocore.train.hardware import Machine, choose_machine

PLAIN = (
    "mtp.horizon=0", "collider.mode=off", "optimizer.matrices=muon", "optimizer.state=float32", "galore.rank_fraction=0.0",
    "galore.projector=float32", "training.activation_checkpointing=none",
)  # fmt: skip
QUARTER = "galore.rank_fraction=0.25"
BASELINE = "Muon, float32"
TECHNIQUES: dict[str, tuple[str, ...]] = {  # what each sets in the preset without techniques
    BASELINE: (),
    "AdamW": ("optimizer.matrices=adamw",),
    "8-bit Muon": ("optimizer.state=int8",),
    "8-bit Muon, dynamic": ("optimizer.state=int8-dynamic",),
    "GaLore": (QUARTER,),
    "GaLore, 8-bit": (QUARTER, "optimizer.state=int8"),
    "GaLore, 8-bit, int8 projector": (QUARTER, "optimizer.state=int8", "galore.projector=int8"),
    "GaLore, 8-bit, int4 projector": (QUARTER, "optimizer.state=int8", "galore.projector=int4"),
    "multi-token prediction": ("mtp.horizon=1",),
    "Collider, head": ("collider.mode=head",),
    "Collider, full": ("collider.mode=full",),
    "checkpointing, selective": ("training.activation_checkpointing=selective",),
    "checkpointing, full": ("training.activation_checkpointing=full",),
    "float matrices": ("model.linear=float",),
}
BOUNDS = {"optimizer": 0.0, "activations": 0.15, "peak": 0.25}  # how far an estimate may be from the measurement
CLAIM = "medium-3b"
CLAIM_DTYPE = "hardware.dtype=bfloat16"  # of the GPU that it is for, not of the machine that does the arithmetic
CLAIMED: dict[str, tuple[str, ...]] = {
    "AdamW": ("optimizer.matrices=adamw",),
    BASELINE: ("optimizer.state=float32", "galore.rank_fraction=0.0"),
    "8-bit Muon, as shipped": (),
    "8-bit Muon, GaLore, int4 projector": (QUARTER, "galore.projector=int4"),
}
CLAIM_WORDS = "the earlier system's notes: training memory of a 3B model falls from 26 to 12.6 GB, its optimizer's from 12 to 0.6 GB; by arithmetic, for a model of 1.63B parameters"
MOST_FLOPS = {"cpu": 1e12, "cuda": 1e15}  # of one step, beyond which measuring every technique takes too long
MOST_PARTS = 64  # that a rank is told in
SPARE = 1.5  # free memory, as a multiple of the estimated peak, from which a measurement is tried


@dataclass(frozen=True)
class Measured:
    """Bytes as measured; None with the reason where they were not."""

    optimizer: int
    matrices: int
    activations: int | None
    peak: int | None
    reason: str


def bench_memory(preset: str, sets: Sequence[str], progress: Callable[[str], None]) -> dict[str, Any]:
    """A row for each technique that the preset can have, and the large claim by arithmetic; plain data.

    Optimizer state is measured for every size; what a step keeps, and the peak, where a step is short and fits into
    the free memory. Raises UsageError or ConfigError for a preset or override that makes no configuration, and
    UsageError for an override of what a technique of the table changes.
    """
    _refuse_what_techniques_change(sets)
    base = resolve(preset, [*PLAIN, *sets])
    device = choose_machine(base.hardware)
    rows, left_out = [], {}
    for name, own in TECHNIQUES.items():
        progress(name)
        try:
            config = resolve(preset, [*PLAIN, *sets, *own])
        except ConfigError as error:
            left_out[name] = "; ".join(error.problems)
            continue
        if rows and config == base:
            left_out[name] = f"{preset} is so already"
            continue
        rows.append(_row(named(name, config), estimate(config), _measured(config, device)))
    return {
        "machine": machines.facts() | {"device": device.facts()},
        "preset": preset,
        "sets": list(sets),
        "bounds": BOUNDS,
        "rows": _with_shares(rows),
        "left_out": left_out,
        "claim": {
            "preset": CLAIM,
            "words": CLAIM_WORDS,
            "rows": [_arithmetic(name, own) for name, own in CLAIMED.items()],
        },
    }


def _refuse_what_techniques_change(sets: Sequence[str]) -> None:
    """An override holds for all rows: it would put the technique into the baseline, or not reach its row."""
    for key in (text.partition("=")[0].strip() for text in sets):
        names = [name for name, own in TECHNIQUES.items() if key in (parse(each)[0] for each in own)]
        if names:
            what = f'{key} is what the row "{names[0]}" changes in the baseline, the preset without the techniques'
            raise UsageError(what, where="--set", fix="leave it out: the table has rows with and without it")


def named(technique: str, config: Config) -> str:
    """A technique with how much of it there is, on which its memory depends."""
    much = [technique]
    if config.galore.rank_fraction:
        much.append(f"rank {Fraction(config.galore.rank_fraction).limit_denominator(MOST_PARTS)}")
    if config.collider.mode != "off":
        much.append(f"keep {config.collider.keep:g}")
    if config.mtp.horizon:
        much.append(f"horizon {config.mtp.horizon}")
    return ", ".join(much)


def _measured(config: Config, device: Machine) -> Measured:
    whole, matrices = state_bytes(config)
    if reason := _too_large(config, device):
        return Measured(whole, matrices, None, None, reason)
    return Measured(whole, matrices, kept_bytes(config, device), peak_bytes(config, device), "")


def _too_large(config: Config, device: Machine) -> str:
    """Why a step is not measured here, in words; "" when it can be."""
    costs = estimate(config)
    free = (
        torch.cuda.mem_get_info(device.device)[0] if device.device.type == "cuda" else psutil.virtual_memory().available
    )
    if costs.peak_bytes * SPARE > free:
        return f"not measured: {costs.peak_bytes >> 20} MiB at the estimated peak, {free >> 20} MiB are free"
    work = costs.flops_per_token * config.tokens_per_step
    if work > MOST_FLOPS[device.device.type]:
        return f"not measured: a step is {work:.2g} operations"
    return ""


def _row(name: str, costs: Estimate, found: Measured) -> dict[str, Any]:
    """Estimated and measured bytes by part, and whether they are as near as is promised."""
    pairs = {
        "optimizer": (costs.optimizer_bytes, found.optimizer),
        "activations": (costs.activation_bytes, found.activations),
        "peak": (costs.peak_bytes, found.peak),
    }
    return {
        "technique": name,
        "parameters": costs.parameters,
        "matrix_state_bytes": found.matrices,
        **{part: _pair(estimated, measured, BOUNDS[part]) for part, (estimated, measured) in pairs.items()},
        "reason": found.reason,
    }


def _pair(estimated: int, measured: int | None, bound: float) -> dict[str, Any]:
    within = None if measured is None else abs(estimated - measured) <= bound * measured
    return {"estimated": estimated, "measured": measured, "within": within}


def _with_shares(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each row with its state of the matrices as a share of the first one's, which is Muon's with float32 momentum."""
    base = rows[0]["matrix_state_bytes"]
    return [{**row, "matrix_state_share": row["matrix_state_bytes"] / base if base else None} for row in rows]


def _arithmetic(name: str, sets: Sequence[str]) -> dict[str, Any]:
    config = resolve(CLAIM, [CLAIM_DTYPE, *sets])
    costs = estimate(config)
    return {
        "technique": named(name, config),
        "parameters": costs.parameters,
        "weights": costs.weight_bytes,
        "gradients": costs.gradient_bytes,
        "optimizer": costs.optimizer_bytes,
        "activations": costs.activation_bytes,
        "peak": costs.peak_bytes,
    }
