"""An experiment's file, and runs of one as trainers would leave them, with measures that are known in advance."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nanocore.compare.experiment import Planned, plan
from nanocore.compare.report import report
from nanocore.compare.spec import Spec, Variant
from nanocore.runs import create
from nanocore.runs.create import create_run, update_run
from nanocore.runs.documents import write_document
from nanocore.runs.layout import RunFolder
from nanocore.runs.pace import BASELINE_PACE, OWN_PACE
from nanocore.runs.records import RecordWriter
from nanocore.runs.status import Status

GOOD = """
preset = "tiny-cpu"
steps = 40
seeds = [1, 2]
sets = ["optimizer.matrix_lr=0.01"]
[variants.mtp]
sets = ["mtp.horizon=2"]
"""
SPEC = Spec(
    preset="tiny-cpu",
    steps=8,
    seeds=[1, 2, 3],
    variants={"mtp": Variant(sets=["mtp.horizon=2"]), "smooth": Variant(sets=["objective.label_smoothing=0.1"])},
    name="known",
)
NOISE = {1: -0.01, 2: 0.0, 3: 0.01}
SHARES = {"data_wait": 0.1, "forward": 0.4, "backward": 0.3, "optimizer": 0.2}  # of a step's time
EFFECT = {"baseline": 0.0, "power-check": 0.4, "mtp": -0.1, "smooth": 0.004}


def written(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "first_look.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def bits_of(item: Planned) -> float:
    noise = 0.0 if item.variant == "baseline" else NOISE[item.seed]
    return 2.0 + 0.1 * item.seed + EFFECT[item.variant] + noise + (0.02 if item.kind == "time" else 0.0)


def make(
    root: Path, item: Planned, *, state: str = "finished", bits: float | None = None, records: int = 8
) -> RunFolder:
    """The folder that a trainer would leave."""
    run = create_run(root, item.config, preset="tiny-cpu", name=item.name)
    kinds = {"exp_avg": 100, "momentum": 1000 if item.variant == "baseline" else 250, "scales": 6, "counters": 50}
    update_run(run, machine={"device": "cpu", "device_name": "a processor", "threads": 1}, optimizer_state=kinds)
    metrics = RecordWriter(run.metrics_file)
    slow = 2.0 if item.variant == "mtp" else 1.0
    if item.kind == "calibration":
        return calibrated(run, metrics, state, slow)
    for step in range(1, records + 1):
        seconds = slow * (9.0 if step <= 4 else 0.010 + 0.001 * (step - 6))
        record: dict[str, Any] = {"step": step, "attempt": 1, "tokens": 2048 * step, "elapsed": 0.5 * step}
        record |= {"time/step": seconds, "throughput/tokens_per_sec": 2048 / seconds}
        record |= {"memory/rss_bytes": 3e6 if step == 2 else 2e6, "memory/optimizer_bytes": 1e6 * slow}
        record |= {f"time/{part}": share * seconds for part, share in SHARES.items()}
        record |= {"device/utilisation": 0.9, "mhc/composite_gain": 1.0 + 0.01 * step}
        metrics.write(record)
        if step % 2 == 0 and step < records:  # the way down is straight, from 4 bits above the end
            value = bits_of(item) + 4.0 * (1 - step / records)
            metrics.write(
                {"step": step, "attempt": 1, "tokens": 2048 * step, "eval/bits_per_byte": value, "eval/ce": 1.0}
            )
    if state == "finished":
        value = bits_of(item) if bits is None else bits
        tokens = 2048 * records
        metrics.write(
            {"step": records, "attempt": 1, "tokens": tokens, "eval/bits_per_byte": value, "eval/ce": 2 * value}
        )
    metrics.close()
    message = "" if state == "finished" else "because of something"
    write_document(run.status_file, Status(state=state, phase="ended", attempt=1, step=records, message=message))
    return run


def calibrated(run: RunFolder, metrics: RecordWriter, state: str, slow: float) -> RunFolder:
    """The folder of a calibration on a machine that grows slower: the ratios are steady, the times are not."""
    for turn in range(1, 6):
        base = 0.0105 * (1 if turn <= 3 else 7)
        backward = {f"{BASELINE_PACE}/backward": base / 2, f"{OWN_PACE}/backward": 0.8 * slow * base / 2}
        metrics.write({"step": turn, "attempt": 1, BASELINE_PACE: base, OWN_PACE: slow * base, **backward})
    metrics.write({"step": 6, "attempt": 1, BASELINE_PACE: 0.0, OWN_PACE: 1.0})  # nothing to divide by: no round
    metrics.close()
    write_document(run.status_file, Status(state=state, phase="ended", attempt=1, step=6))
    return run


def built(root: Path, skip: Callable[[Planned], bool] = lambda _: False, spec: Spec = SPEC) -> dict[str, Any]:
    """The report of an experiment all whose runs are there, but for some; made without a process of git for each run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(create, "git_revision", str)
        for item in plan(spec):
            if not skip(item):
                make(root, item)
    return report(spec, root)


def rows(document: dict[str, Any], table: str) -> dict[str, Any]:
    """A table of a report by variant."""
    return {row["variant"]: row for row in document[table]}
