"""`nanoconsole export`: a checkpoint as a file or folder for other programs, written by a worker process."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from nanoconsole.cli import complete
from nanoconsole.cli import model as shared
from nanoconsole.cli.options import Json, Runs, examples
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
        "export runs/tiny-cpu-0001/checkpoints/step-00000100 --output tiny-100.gguf",
    )
    app.command("export", epilog=examples(*lines))(export)


def export(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN|FOLDER", help="A run, its folder, or the folder of a checkpoint.", autocompletion=complete.runs
        ),
    ],
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
    given = {"scheme": scheme, "scale_mode": scale_mode, "head": head, "architecture": architecture, "form": form}
    request = {"verb": "export", **shared.source(run, step, runs), "to": to, "force": force}
    request |= _meant(given | {"license": license}, to)
    if output is not None:
        shared.check_text(str(output), "--output")
        request["output"] = str(output.absolute())
    report = shared.answers(request, lambda _: None)
    report.pop("kind")
    if json:
        return emit(report)
    for line in _talk(report):
        say(line)
    return tell(report["path"])


def _meant(given: dict[str, str | None], to: str) -> dict[str, str]:
    """The options that were given. Raises UsageError for one that means nothing for `to`, or is no text."""
    options = {key: value for key, value in given.items() if value is not None}
    for key, value in options.items():
        where = f"--{key.replace('_', '-')}"
        if to not in MEANS[key]:
            raise UsageError(f"means nothing for --to {to}", where=where, fix=_advice(MEANS[key]))
        if not value.strip():
            raise UsageError("is empty", where=where, fix="leave it out")
        shared.check_text(value, where)
    return options


def _advice(means: tuple[str, ...]) -> str:
    return f"leave it out, or use --to {' or '.join(means)}"


def _talk(report: dict[str, Any]) -> list[str]:
    from nanoconsole.services.format import size

    types = ", ".join(f"{count} {kind}" for kind, count in sorted(report["types"].items()))
    what = f"{report['architecture']}, {size(report['bytes'])}: {types}"
    return [what, *report["notes"], *(f"left out: {each}" for each in report["dropped"])]
