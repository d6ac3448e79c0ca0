"""`nanoconsole samples`: the texts that a run's model wrote while it learned."""

from __future__ import annotations

from typing import Annotated

import typer

from nanoconsole.cli.options import Json, Run, Runs, examples
from nanoconsole.cli.output import emit, say, tell


def register(app: typer.Typer) -> None:
    lines = ("samples tiny-cpu-0001", "samples tiny-cpu-0001 --step 200", "samples tiny-cpu-0001 --json")
    app.command("samples", epilog=examples(*lines))(samples)


def samples(
    run: Run,
    step: Annotated[int | None, typer.Option("--step", min=0, help="The sample of this step, not the newest.")] = None,
    runs: Runs = None,
    json: Json = False,
) -> None:
    """Show what the model wrote at a step.

    The newest sample, or that of --step; the steps there are stand on stderr. --json prints every sample unless --step
    chooses one.
    """
    from nanoconsole.services.samples import chosen_sample, read_sample, sample_steps
    from nanocore.errors import UsageError
    from nanocore.runs.layout import find_run, run_root

    folder = find_run(run_root(runs), run)
    steps, sample = sample_steps(folder), chosen_sample(folder, step)
    if json:
        found = [sample] if step is not None else [read_sample(folder, each) for each in steps]
        return emit({"run": run, "steps": steps, "samples": [each.facts() for each in found]})
    if sample.problem:
        raise UsageError(sample.problem, where=str(folder.sample_file(sample.step)))
    say(f"{run}, step {sample.step}; samples at {', '.join(map(str, steps))}")
    return tell(sample.whole.rstrip("\n"))
