"""What the terminal is told when the console is left: what goes on without it, and what to type to see or end it."""

from __future__ import annotations

from nanoconsole.services.listed import Listed, RunList
from nanocore.runs.hints import to_type


def farewell(runs: RunList) -> str:
    """A line for each run that a process works on, and one with commands for the first of them; "" without any."""
    working = [run for run in runs.runs if run.summary.alive]
    lines = [_goes_on(run) for run in working]
    if working:
        first = working[0]
        other = first.run.path.parent if first.origin else None
        look, stop = (to_type(f"{verb} {first.summary.name}", root=other) for verb in ("watch", "stop"))
        lines.append(f"watch it: {look}   stop it: {stop}")
    return "\n".join(lines)


def _goes_on(run: Listed) -> str:
    summary = run.summary
    what = "stays paused" if summary.state == "paused" else "goes on training"
    return f"{run.label} {what} (step {summary.step} of {summary.steps or '?'})"
