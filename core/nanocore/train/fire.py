"""FIRE in a run: at its step, or when a person asks for it."""

from __future__ import annotations

from dataclasses import asdict

from nanocore.config.matrix_names import matching
from nanocore.errors import UsageError
from nanocore.optim.fire import reinitialise
from nanocore.train.job import Job


def fire(job: Job) -> None:
    """Reinitialise the chosen matrices and forget their optimizer state; what happened to each is an event.

    Every rank does the same arithmetic on the same weights. Raises UsageError as `chosen` does.
    """
    settings, parameters = job.config.fire, dict(job.core.named_parameters())
    names = chosen(job)
    for name in names:
        report = reinitialise(parameters[name], iterations=settings.iterations, tolerance=settings.tolerance)
        job.reporter.event("fire", parameter=name, **asdict(report))
        if not report.converged:
            job.reporter.warn(
                f"fire: {name} is {report.error:.1e} from orthogonal after {report.iterations} iterations"
            )
    job.optimizers.reset_state(names)
    job.reporter.log(f"fire: {len(names)} matrices reinitialised, their optimizer state is fresh")


def fire_on_request(job: Job) -> None:
    """As `fire`, but what it refuses is told and ends nothing: the run is worth more than the request."""
    try:
        fire(job)
    except UsageError as error:
        job.reporter.warn(str(error))


def chosen(job: Job) -> list[str]:
    """Names of the matrices that `fire.parameters` means. UsageError where there are none, or none may change."""
    if job.config.loop.stage == "gate":
        raise UsageError("matrices stay as they are in the gate stage", where="loop.stage", fix="fire the joint stage")
    matrices = [name for name, role in job.core.roles().items() if role == "matrix"]
    return matching(matrices, job.config.fire.parameters)
