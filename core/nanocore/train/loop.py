"""The training loop, top to bottom."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from nanocore.config.advice import behind_the_end
from nanocore.data.batch import Batch
from nanocore.model.fp4_study import begin_step
from nanocore.objective.goal import Goal
from nanocore.optim.schedule import lr_factor, weight_decay_factor
from nanocore.train.checkpoints import save, unsaved
from nanocore.train.distributed import broadcast_json
from nanocore.train.fire import fire, fire_on_request
from nanocore.train.gradient_cosine import gradient_cosine
from nanocore.train.job import Job
from nanocore.train.measure import last_measures, measure, write_sample
from nanocore.train.orders import take_orders
from nanocore.train.refusal import admit, refuse, tell_spike
from nanocore.train.step import StepResult, never, take_step
from nanocore.train.telemetry import analyse, probing, record, report_layers

PLAN_EVERY = 10  # steps between two looks at the clock, when the length is given in time


@dataclass(frozen=True)
class Outcome:
    """How training ended: `finished` or `stopped`, and the exit code."""

    state: str
    exit_code: int


def train(job: Job) -> Outcome:
    """Train until the horizon, or until a stop is asked for. Raises DivergedError; the last checkpoint stays good."""
    progress, config = job.progress, job.config
    while progress.step < job.horizon.steps:
        batch, progress.loader = next_batch(job)
        result = one_step(job, batch)
        if not judged(job, batch, result):
            continue
        progress.step += 1
        progress.tokens += batch.tokens.size
        job.orders.unsaved = True
        job.window.add(result, batch.tokens.size)
        job.tick()
        plan(job)
        record(job)
        if progress.step == config.fire.at_step:
            fire(job)
        if due(job, config.evaluation.every):
            measure(job)
        if due(job, config.evaluation.sample_every):
            write_sample(job)
        if due(job, config.checkpoint.every):
            scheduled_save(job)
        obey(job)
        if job.orders.stop:
            break
    return finish(job)


def next_batch(job: Job) -> tuple[Batch, dict[str, Any]]:
    """The next batch, and the data position behind it."""
    job.reporter.step = job.progress.step + 1
    show(job)
    return job.loader.next()


def one_step(job: Job, batch: Batch) -> StepResult:
    """Train on one batch, unless the result is not finite or a spike; layers are looked at in their turn."""
    purpose = goal(job, batch)
    compare_gradients(job, batch, purpose)
    with analyse(job):
        result = passes(job, batch, purpose, partial(admit, job))
    result.seconds["data_wait"] = job.loader.waited
    report_layers(job, result)
    return result


def passes(job: Job, batch: Batch, purpose: Goal, admit: Callable[[StepResult], bool]) -> StepResult:
    """Forward and backward passes of the present step, and its update if `admit` wants it.

    Where no update can follow (`never`) the gradients stay as they are: clipping by a norm that is NaN would spoil all.
    """
    step, steps, config = job.progress.step, job.horizon.steps, job.config
    begin_step(job.core, step, job.world.rank)
    return take_step(
        job.core if probing(job) else job.model,
        purpose,
        job.optimizers,
        batch,
        machine=job.machine,
        world=job.world,
        accumulation=config.training.accumulation,
        grad_clip=0.0 if admit is never else config.optimizer.grad_clip,
        lr_factor=lr_factor(config.schedule, step, steps),
        weight_decay_factor=weight_decay_factor(config.schedule, step, steps),
        admit=admit,
    )


def judged(job: Job, batch: Batch, result: StepResult) -> bool:
    """Tell of a spike and deal with an update that was not applied; whether the step counts."""
    if result.spike:
        tell_spike(job, result)
    if result.applied:
        job.progress.skipped = 0
        return True
    return refuse(job, result, lambda: passes(job, batch, goal(job, batch), never))


def goal(job: Job, batch: Batch) -> Goal:
    """What this batch is trained on at this point of the run."""
    step, collider = job.progress.step, job.config.collider
    return Goal(
        job.core,
        job.config,
        batch,
        progress=step / job.horizon.steps,
        filtering=collider.mode != "off" and step >= collider.start_step,
        reference=job.reference,
    )


def compare_gradients(job: Job, batch: Batch, filtered: Goal) -> None:
    """In its turn, measure what token filtering does to the gradient; the time it takes is not the step's."""
    every, step = job.config.collider.cosine_every, job.progress.step
    if filtered.kept is not None and every and (step + 1) % every == 0:
        whole = Goal(job.core, job.config, batch, progress=step / job.horizon.steps)
        job.findings["collider/gradient_cosine"] = gradient_cosine(job, batch, filtered, whole)


def plan(job: Job) -> None:
    """Correct the horizon of a run whose length was given in time; its first one may show settings that come too late."""
    progress, known = job.progress, job.horizon.known
    if job.config.training.duration and (progress.step % PLAN_EVERY == 0 or not known):
        job.horizon.replan(progress.step, progress.elapsed, progress.elapsed / progress.step)
        job.horizon.steps = broadcast_json(job.horizon.steps)
        for line in behind_the_end(job.config, job.horizon.steps) if job.horizon.known and not known else ():
            job.reporter.warn(f"by the first plan of its time: {line}")


def due(job: Job, every: int) -> bool:
    """Whether it is the turn of what comes `every` so many steps; `finish` does what the last step is due."""
    return every > 0 and job.progress.step % every == 0 and job.progress.step < job.horizon.steps


def obey(job: Job) -> None:
    """Carry out what was asked for since the last step; a pause waits here."""
    take_orders(job)
    serve(job)
    if job.orders.paused and not job.orders.stop:
        pause(job)


def serve(job: Job) -> None:
    """What can be done between two steps, and therefore in a pause as well."""
    orders = job.orders
    if orders.sample:
        orders.sample = False
        write_sample(job)
    if orders.fire:
        orders.fire = False
        fire_on_request(job)
    if orders.checkpoint and not orders.stop:
        orders.checkpoint = False
        save(job)
    if orders.stop_after_checkpoint and not job.config.checkpoint.every:  # none is scheduled: the stop makes one
        orders.stop = True


def scheduled_save(job: Job) -> None:
    """A checkpoint in its turn, at which a run may have been asked to stop."""
    saved = save(job)
    job.orders.stop = job.orders.stop or (saved and job.orders.stop_after_checkpoint)


def pause(job: Job) -> None:
    """Wait until somebody asks to go on, or to stop; the time does not count as training."""
    job.reporter.event("paused")
    job.reporter.log("paused")
    show(job)  # the step just ended counts
    while job.orders.paused and not job.orders.stop:
        job.reporter.status(state="paused", phase="paused")
        time.sleep(0.2)
        take_orders(job)
        serve(job)
    job.skip_time()
    job.reporter.event("unpaused")


def finish(job: Job) -> Outcome:
    """The last checkpoint, then the last evaluation and sample of a run that is done; a stopped one only saves.

    Raises ResourceError when that checkpoint could not be written: such a run did not end well.
    """
    done = job.progress.step >= job.horizon.steps
    show(job)
    record(job, last=True)
    saved = save(job)
    if done:
        last_measures(job)
    job.loader.close()
    if not saved:
        raise unsaved(job, "the last checkpoint")
    state = "finished" if done else "stopped"
    job.reporter.event(state, exit_code=job.orders.exit_code)
    job.reporter.log(f"{state} at step {job.progress.step}")
    return Outcome(state, 0 if done else job.orders.exit_code)


def show(job: Job) -> None:
    """Where the run is, in status.json; the number of steps is 0 while it is not known."""
    steps = job.horizon.steps if job.horizon.known else 0
    job.reporter.status(
        state="running", phase="training", step=job.progress.step, steps=steps, tokens=job.progress.tokens
    )
