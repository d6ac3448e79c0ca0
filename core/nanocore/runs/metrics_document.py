"""Writes the list of metrics: `python -m nanocore.runs.metrics_document > docs/metrics.md`."""

from __future__ import annotations

import math
import sys
from itertools import groupby

from nanocore.runs.metrics import METRICS, Metric

INTRODUCTION = """\
# Metrics

<!-- Written by `python -m nanocore.runs.metrics_document`; edit core/nanocore/runs/metrics.py, not this file. -->

Every number a trainer records, in `metrics.jsonl` of the run's folder and in TensorBoard under the same name. A member of a
family has its own name behind it: `training/lr/matrix`, `eval/ce_turn/2`, `loop/exit_probability/1`. Each record is written
at once and whole, by the trainer itself; `logging.every` says how many steps lie between two, `logging.tensorboard = false`
writes none for TensorBoard. What is not finite is told as such, never left out.
`T` in the Live screen, `nanoconsole train --tensorboard` and the setting `tensorboard` serve the event files on the next free port
from 6006, on this machine only ([why not always](console.md#tensorboard)).

The members of `training/lr` are the groups of parameters that a model has: `matrix`, `embedding`, `head`, `norm` (gains), `mixing`
(maps of residual streams, routers, gates). TensorBoard shows `training/lr/matrix` and so on; no tag is called `training/lr` alone. The
other tags that the earlier system (nanochat-rs-ternary) named are the same here: `loss/total`, `loss/ce`, `training/entropy`, `training/grad_norm`,
`throughput/tokens_per_sec`, and `mhc/composite_gain` when `mhc.streams` is 2 or more.

- Charts of the Live screen, `nanoconsole runs show RUN`, the filter of the list (`loss/ce<3`), alerts and reports take these names.
- *when*: `step` with each record, `evaluation` every `evaluation.every` steps, `telemetry` every `mhc.every` steps.
- *healthy*: outside it the Live screen marks the value, and the alert of that name fires. No range: nothing to warn of.
- Values of single layers are in `layers.jsonl`: `nanoconsole layers RUN`.
"""
HEAD = "| metric | unit | when | healthy | meaning |\n|-|-|-|-|-|\n"


def document() -> str:
    """The whole list in Markdown, a table for each first part of the names."""
    parts = [INTRODUCTION]
    for section, metrics in groupby(METRICS.values(), key=lambda metric: metric.name.split("/")[0]):
        parts.append(f"\n## {section}\n\n{HEAD}{''.join(map(_row, metrics))}")
    return "".join(parts)


def _row(metric: Metric) -> str:
    return f"| `{metric.name}` | {metric.unit or '–'} | {metric.cadence} | {_range(metric)} | {metric.help} |\n"


def _range(metric: Metric) -> str:
    if metric.healthy is None:
        return "–"
    low, high = metric.healthy
    if high == math.inf:
        return f"{low:g} or more"
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


if __name__ == "__main__":
    sys.stdout.write(document())
