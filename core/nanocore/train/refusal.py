"""Updates that are not applied: a non-finite loss or gradient, or a spike that the configuration does not accept."""

from __future__ import annotations

import math
from collections.abc import Callable

from nanocore.errors import DivergedError
from nanocore.model.transformer import Transformer
from nanocore.train.job import Job
from nanocore.train.rollback import roll_back
from nanocore.train.step import StepResult

MOST_SKIPS_IN_A_ROW = 10
_FIX = "fork it (--from) with a lower learning rate, or with training.on_nonfinite = skip or rollback"


def admit(job: Job, result: StepResult) -> bool:
    """Between the passes and the update: look for a spike, and say whether the update may be applied."""
    spikes = job.progress.spikes
    result.spike = spikes.judge(result.ce, result.grad_norm)
    if result.spike and job.config.training.on_spike != "none":
        return False
    spikes.take(result.ce, result.grad_norm)
    return True


def tell_spike(job: Job, result: StepResult) -> None:
    """A spike, with the batch that caused it and what was done."""
    done = {"none": "applied", "skip": "left out", "rollback": "undone"}[job.config.training.on_spike]
    message = f"spike, {done}: {result.spike}"
    batch = job.progress.loader
    job.reporter.event("spike", message=message, loss=result.ce, grad_norm=result.grad_norm, batch=batch)
    job.reporter.log(message, "WARNING")


def refuse(job: Job, result: StepResult, again: Callable[[], StepResult]) -> bool:
    """Deal with an update that was not applied; whether its step counts. It does not after a return to a checkpoint.

    `again` makes the passes of the step once more. Raises DivergedError where the policy is to stop, or its limit is
    reached.
    """
    training, message = job.config.training, result.spike
    policy = training.on_spike if result.finite else training.on_nonfinite
    if not result.finite:
        message = _tell_nonfinite(job, result, again)
    if policy == "rollback":
        roll_back(job, message)
        return False
    job.progress.skipped += 1
    if policy == "stop" or job.progress.skipped >= MOST_SKIPS_IN_A_ROW:
        raise DivergedError(message, where=f"step {job.reporter.step}", fix=_FIX)
    return True


def _tell_nonfinite(job: Job, result: StepResult, again: Callable[[], StepResult]) -> str:
    """Say where it was met, and whether it comes again when the step is made again; the message."""
    facts = {"loss": result.ce, "grad_norm": result.grad_norm}
    reproducible = not again().finite
    names = _nonfinite_gradients(job.core)
    message = (
        f"non-finite loss {result.ce} or gradient norm {result.grad_norm}{_first(names)}; the update was not applied; "
        + ("the same when made again" if reproducible else "finite when made again: a fault of the machine?")
    )
    job.reporter.event(
        "nonfinite", **facts, batch=job.progress.loader, tensors=names, reproducible=reproducible, message=message
    )
    job.reporter.metrics({"loss/ce": result.ce, "training/grad_norm": result.grad_norm})
    job.reporter.log(message, "ERROR")
    return message


def _nonfinite_gradients(core: Transformer, most: int = 5) -> list[str]:
    """The first parameters, in the model's order, whose gradient is not finite."""
    gradients = ((name, parameter.grad) for name, parameter in core.named_parameters() if parameter.grad is not None)
    bad = (name for name, gradient in gradients if not math.isfinite(float(gradient.sum())))
    return [name for name, _ in zip(bad, range(most), strict=False)]


def _first(names: list[str]) -> str:
    return f", first in {names[0]}" if names else ""
