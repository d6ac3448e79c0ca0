"""`nanoconsole export`: a run's checkpoint as a file or folder for other programs, written by a worker process."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from nanoconsole.cli import model as shared
from nanoconsole.cli.options import Json, Run, Runs, examples
from nanoconsole.cli.output import emit, say, tell
from nanocore.errors import UsageError

GGUF = ("gguf",)
MEANS = {  # an option, and for which --to
    "scheme": GGUF,
    "scale_mode": GGUF,
    "head": GGUF,
    "architecture": GGUF,
    "form": ("hf",),
    "license": ("gguf", "hf"),
}
Scheme = Literal["tq2_0", "tq1_0"]
ScaleMode = Literal["tensor", "block"]
Head = Literal["f32", "f16", "q8_0"]
Architecture = Literal["auto", "stock", "nanoconsole"]


def register(app: typer.Typer) -> None:
    lines = (
        "export tiny-cpu-0001",
        "export tiny-cpu-0001 --step best --scheme tq1_0 --output tiny.gguf",
        "export tiny-cpu-0001 --to hf --output tiny-hf",
    )
    app.command("export", epilog=examples(*lines))(export)


def export(
    run: Run,
    to: Annotated[
        Literal["gguf", "hf", "mhc"],
        typer.Option("--to", help="A GGUF file, a Hugging Face folder, or a .mhc file of stream maps."),
    ] = "gguf",
    scheme: Annotated[Scheme | None, typer.Option("--scheme", help="GGUF: 2.06 or 1.69 bits a weight [tq2_0].")] = None,
    scale_mode: Annotated[
        ScaleMode | None, typer.Option("--scale-mode", help="GGUF: scales exact beside, or rounded in blocks [tensor].")
    ] = None,
    head: Annotated[Head | None, typer.Option("--head", help="GGUF: type of embedding and head [f16].")] = None,
    architecture: Annotated[
        Architecture | None,
        typer.Option("--architecture", help="GGUF: stock refuses what other tools cannot run [auto]."),
    ] = None,
    form: Annotated[
        Literal["plain", "bitnet"] | None, typer.Option("--form", help="hf: float weights, or BitNet's codes [plain].")
    ] = None,
    license: Annotated[
        str | None, typer.Option("--license", metavar="ID", help="Licence of the weights, as mit [unknown].")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", metavar="PATH", help="Else in the run's exports.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier export.")] = False,
    step: shared.Step = "latest",
    runs: Runs = None,
    json: Json = False,
) -> None:
    """Write a checkpoint as GGUF, Hugging Face or .mhc files.

    Prints the path. Where a stock architecture computes exactly what the model computes, llama.cpp runs the file; other
    models become files that list everywhere and run here. What was dropped, and why it is not stock, is said.
    """
    from nanocore.runs.layout import find_run, run_root

    given = {"scheme": scheme, "scale_mode": scale_mode, "head": head, "architecture": architecture, "form": form}
    given["license"] = license
    options = {key: value for key, value in given.items() if value is not None}
    for key in options:
        if to not in MEANS[key]:
            raise UsageError(f"means nothing for --to {to}", where=f"--{key.replace('_', '-')}", fix="leave it out")
    folder = find_run(run_root(runs), run).path
    request = {"verb": "export", **shared.source(str(folder), step, runs), "to": to, "force": force}
    request |= options | ({"output": str(output.absolute())} if output else {})
    report = shared.answers(request, lambda _: None)
    report.pop("kind")
    if json:
        return emit(report)
    for line in _talk(report):
        say(line)
    return tell(report["path"])


def _talk(report: dict[str, Any]) -> list[str]:
    from nanoconsole.services.format import size

    types = ", ".join(f"{count} {kind}" for kind, count in sorted(report["types"].items()))
    return [
        f"{report['architecture']}, {size(report['bytes'])}: {types}",
        *report["notes"],
        *(f"left out: {each}" for each in report["dropped"]),
        *(f"not {name}: {reason}" for name, reason in report["refused"].items()),
    ]
