"""Metrics of a step: what is averaged, what is measured now and then, what a log line says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from pynvml import NVMLError

from nanocore.analysis.stream_health import changes
from nanocore.analysis.streams import StreamProbe, StreamReport
from nanocore.analysis.updates import clip_factor
from nanocore.model.router import load_report
from nanocore.optim.schedule import lr_factor
from nanocore.train.job import Job
from nanocore.train.step import StepResult
from nanocore.train.window import Window

_PAGE = os.sysconf("SC_PAGE_SIZE")
EXIT = "loop/exit_probability/"


@contextmanager
def analyse(job: Job) -> Iterator[None]:
    """Around one step: measure streams and ternary codes when their turn has come; else do nothing at all."""
    step = job.progress.step + 1
    if layers_due(job):
        job.updates.before()
    probe = job.streams if probing(job) else None
    if probe is None:
        yield
    else:
        with probe.attached():
            yield
        report = probe.report()
        if report.layers:
            _judge(job, probe, report, step)
        job.findings.update(report.summary)
        job.reporter.layers(report.layers)
    if job.ternary.names and layers_due(job):
        ternary = job.ternary.measure()
        job.findings.update(ternary.summary)
        job.reporter.layers(ternary.layers)


def report_layers(job: Job, result: StepResult) -> None:
    """What the step did to each matrix, the load of each layer's experts, the exits of a loop, in the layers' turn."""
    if not layers_due(job):
        return
    if result.applied:
        job.reporter.layers(job.updates.after(clip_factor(result.grad_norm, job.config.optimizer.grad_clip)))
    if result.loads is not None:
        job.reporter.layers(load_report(job.core, result.loads).layers)
    exits = {name: value for name, value in result.parts.items() if name.startswith(EXIT)}
    job.reporter.layers(
        [{"kind": "exits", "name": f"turn {name[len(EXIT) :]}", "probability": value} for name, value in exits.items()]
    )


def layers_due(job: Job) -> bool:
    """Whether the coming step is one of those at which every layer is measured."""
    return _turn(job.progress.step + 1, job.config.logging.layers_every)


def probing(job: Job) -> bool:
    """Whether the coming step measures the streams: hooks see them only in the model that is not compiled."""
    return job.streams is not None and _turn(job.progress.step + 1, job.config.mhc.every)


def _judge(job: Job, probe: StreamProbe, report: StreamReport, step: int) -> None:
    """Add the verdicts to the report; an event and a log line when one changed. After a resume all count as healthy."""
    before = probe.lasting
    probe.judge(report, step)
    after = probe.lasting
    changed = changes(before, after)
    if after.model.level == before.model.level and not changed:
        return
    message = f"residual streams: {after.model.level}" + (f", {after.model.reason}" if after.model.reason else "")
    job.reporter.event("health", health=after.model.level, before=before.model.level, changed=changed, message=message)
    job.reporter.log(message, "INFO" if after.model.level == "healthy" else "WARNING")


def _turn(step: int, every: int) -> bool:
    return step == 1 or step % every == 0


def record(job: Job, *, last: bool = False) -> None:
    """Write the metrics since the last record, when their turn has come, and a line for people."""
    step, window = job.progress.step, job.window
    if not window.steps or not (last or step % job.config.logging.every == 0):
        return
    values = {**window.values(), **_learning_rates(job), **_memory(job), **_utilisation(job), **job.findings}
    job.reporter.metrics(values, tokens=job.progress.tokens, elapsed=round(job.progress.elapsed, 4))
    if last or step % job.config.logging.console_every == 0 or step == 1:
        job.reporter.log(_line(values))
    job.findings.clear()
    job.window = Window()


def _line(values: dict[str, float]) -> str:
    return (
        f"ce {values['loss/ce']:.4f}, grad norm {values['training/grad_norm']:.3f}, "
        f"lr {values['training/lr/matrix']:.2e}, {values['throughput/tokens_per_sec']:,.0f} tok/s"
    )


def _learning_rates(job: Job) -> dict[str, float]:
    """Rates used by the update just made, by group."""
    factor = lr_factor(job.config.schedule, job.progress.step - 1, job.horizon.steps)
    return {f"training/lr/{group.name}": group.lr * factor for group in job.optimizers.groups}


def _memory(job: Job) -> dict[str, float]:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    values = {"memory/rss_bytes": float(pages * _PAGE), "memory/optimizer_bytes": float(job.optimizer_bytes)}
    if job.machine.device.type == "cuda":
        values["memory/gpu_bytes"] = float(torch.cuda.max_memory_allocated(job.machine.device))
    return values


def _utilisation(job: Job) -> dict[str, float]:
    """Share of the device's time spent computing, evaluations and all; on the CPU, processor time over threads times wall time."""
    seconds = job.window.total_seconds
    if job.machine.device.type == "cuda":
        values = _cuda_utilisation(job.machine.device)
    else:
        values = {"device/utilisation": job.processor_share()}
    if job.machine.peak_flops:
        flops = job.flops_per_token * job.window.tokens
        values["throughput/mfu"] = flops / seconds / (job.machine.peak_flops * job.world.size)
    return values


def _cuda_utilisation(device: torch.device) -> dict[str, float]:
    """What the driver says; nothing where its library (NVML) is not there."""
    try:
        return {"device/utilisation": torch.cuda.utilization(device) / 100.0}
    except (ModuleNotFoundError, NVMLError):
        return {}
