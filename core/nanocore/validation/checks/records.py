"""Check: what the run folder says of a finished run, and that TensorBoard's files say the same."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from nanocore.config.schema import Config
from nanocore.config.toml import load
from nanocore.optim.schedule import lr_factor
from nanocore.runs.create import read_run
from nanocore.runs.layout import RunFolder
from nanocore.runs.metrics import find_metric
from nanocore.runs.records import Record, read_all
from nanocore.runs.status import read_status
from nanocore.validation.outcome import Found, expect, within
from nanocore.validation.reference_run import reference
from nanocore.validation.workshop import Workshop

FACTS = {"schema", "step", "attempt", "time", "tokens", "elapsed"}  # of a record, beside its metrics


def check(workshop: Workshop) -> Found:
    run = reference(workshop)
    config, records = load(run.config_file), read_all(run.metrics_file)
    steps = config.training.steps
    counted = Counter(record["step"] for record in records if "loss/ce" in record)
    missing = [step for step in range(1, steps + 1) if counted[step] != 1]
    expect(
        not missing, f"step {missing[:1]} is recorded {[counted[step] for step in missing[:1]]} times", "each step once"
    )
    unknown = {key for record in records for key in record if key not in FACTS and find_metric(key) is None}
    expect(not unknown, f"metrics {sorted(unknown)[:2]} are not in the registry", "metrics of the registry alone")
    _rates(records, config, read_run(run)["groups"])
    _ended(run, config)
    values = _tensorboard(run, records)
    return Found(
        f"{len(records)} records of {steps} steps, {values} values equal in TensorBoard",
        "config.toml, run.json, status, events, metrics, learning rates, text sample and event file read back",
    )


def _rates(records: list[Record], config: Config, groups: list[dict[str, Any]]) -> None:
    """Tokens and learning rates of every step, from the configuration alone."""
    for record in (each for each in records if "loss/ce" in each):
        step = record["step"]
        tokens = step * config.tokens_per_step
        expect(record["tokens"] == tokens, f"step {step}: {record['tokens']} tokens", f"{tokens}")
        _times(record, config.tokens_per_step)
        for group in groups:
            exact = group["lr"] * lr_factor(config.schedule, step - 1, config.training.steps)
            key = f"training/lr/{group['name']}"
            within(f"step {step}: {key} off its schedule", abs(record[key] - exact), 1e-12)


def _times(record: Record, tokens: int) -> None:
    """A step's parts are all of its time, and its tokens over that time the speed."""
    step, seconds = record["step"], record["time/step"]
    parts = sum(record[f"time/{part}"] for part in ("data_wait", "forward", "backward", "optimizer"))
    within(f"step {step}: sum of its parts off its time, share", abs(parts / seconds - 1), 1e-6)
    speed = record["throughput/tokens_per_sec"] * seconds / tokens
    within(f"step {step}: tokens a second off tokens over time, share", abs(speed - 1), 1e-6)


def _ended(run: RunFolder, config: Config) -> None:
    status, steps = read_status(run), config.training.steps
    found = (status.state, status.step, status.exit_code) if status else None
    expect(found == ("finished", steps, 0), f"status {found}", f"finished at step {steps} with exit code 0")
    kinds = [record["kind"] for record in read_all(run.events_file)]
    wanted = {"started", "eval", "checkpoint", "sample", "finished"}
    expect(wanted <= set(kinds), f"no event {', '.join(sorted(wanted - set(kinds)))}", "one of each kind")
    sample = run.sample_file(steps)
    expect(
        sample.is_file() and sample.read_text(encoding="utf-8").startswith("def "), "no text sample", "one at the end"
    )


def _tensorboard(run: RunFolder, records: list[Record]) -> int:
    """Every recorded metric as the same float32 at the same step; how many there are."""
    shown = {key: value for path in sorted(run.tensorboard_dir.iterdir()) for key, value in _scalars(path)}
    count = 0
    for record in records:
        for name in record.keys() - FACTS:
            metric, value = find_metric(name), record[name]
            found = shown.get((metric.tag if metric else name, record["step"]))
            same = found is not None and np.float32(value) == np.float32(found)
            expect(same, f"step {record['step']}: {name} is {found} in TensorBoard", f"{value}")
            count += 1
    return count


def _scalars(path: Path) -> Iterator[tuple[tuple[str, int], float]]:
    """The values of an event file by tag and step. A record is length, checksum, data, checksum."""
    from tensorboard.compat.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue]

    raw, place = path.read_bytes(), 0
    while place < len(raw):
        (length,) = struct.unpack_from("<Q", raw, place)
        event = Event.FromString(raw[place + 12 : place + 12 + length])
        place += 16 + length
        for value in event.summary.value:
            if value.HasField("simple_value"):
                yield (value.tag, event.step), value.simple_value
