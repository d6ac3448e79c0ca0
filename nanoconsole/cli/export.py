"""`nanoconsole export`: a checkpoint as a file or folder for other programs, written by a worker process."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from nanoconsole.cli import complete
from nanoconsole.cli import model as shared
from nanoconsole.cli.options import Json, Runs, examples
from nanoconsole.cli.output import emit, say, tell
from nanocore.api.export_options import meant
from nanocore.errors import UsageError

Source = Annotated[
    str,
    typer.Argument(
        metavar="RUN|FOLDER", help="A run, its folder, or the folder of a checkpoint.", autocompletion=complete.runs
    ),
]
To = Annotated[
    Literal["gguf", "hf", "mhc"],
    typer.Option("--to", help="A GGUF file, a Hugging Face folder, or a .mhc file of stream maps."),
]
Scheme = Annotated[
    Literal["tq2_0", "tq1_0"] | None,
    typer.Option("--scheme", help="GGUF: 2.06 or 1.69 bits a weight in rows of 256 n [tq2_0]."),
]
ScaleMode = Annotated[
    Literal["tensor", "block"] | None,
    typer.Option("--scale-mode", help="GGUF: scales exact beside, or rounded in blocks [tensor]."),
]
Head = Annotated[
    Literal["f32", "f16", "q8_0"] | None, typer.Option("--head", help="GGUF: type of embedding and head [f16].")
]
Architecture = Annotated[
    Literal["auto", "stock", "nanoconsole"] | None,
    typer.Option("--architecture", help="GGUF: stock refuses what other tools cannot run [auto]."),
]
Form = Annotated[
    Literal["plain", "bitnet"] | None, typer.Option("--form", help="hf: float weights, or BitNet's codes [plain].")
]
License = Annotated[
    str | None, typer.Option("--license", metavar="ID", help="Licence of the weights, as mit [unknown].")
]
Output = Annotated[Path | None, typer.Option("--output", metavar="PATH", help="Else in the run's exports.")]
Force = Annotated[bool, typer.Option("--force", help="Replace an earlier export.")]


def register(app: typer.Typer) -> None:
    lines = (
        "export tiny-cpu-0001",
        "export tiny-cpu-0001 --step best --scheme tq1_0 --output tiny.gguf",
        "export tiny-cpu-0001 --to hf --output tiny-hf",
        "export runs/tiny-cpu-0001/checkpoints/step-00000100 --output tiny-100.gguf",
    )
    app.command("export", epilog=examples(*lines))(export)


def export(
    run: Source,
    to: To = "gguf",
    scheme: Scheme = None,
    scale_mode: ScaleMode = None,
    head: Head = None,
    architecture: Architecture = None,
    form: Form = None,
    license: License = None,
    output: Output = None,
    force: Force = False,
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
    _write(request | _texts(meant(given | {"license": license}, to, spelt=_flag)) | _place(output), json)


def _write(request: dict[str, Any], json: bool) -> None:
    """Have a worker do it; tell what came of it."""
    report = shared.answers(request, lambda _: None)
    report.pop("kind")
    if json:
        return emit(report)
    for line in _talk(report):
        say(line)
    return tell(report["path"])


def _flag(option: str) -> str:
    return f"--{option.replace('_', '-')}"


def _texts(options: dict[str, str]) -> dict[str, str]:
    """The options again. Raises UsageError for one that is no text."""
    for key, value in options.items():
        if not value.strip():
            raise UsageError("is empty", where=_flag(key), fix="leave it out")
        shared.check_text(value, _flag(key))
    return options


def _place(output: Path | None) -> dict[str, str]:
    if output is None:
        return {}
    shared.check_text(str(output), "--output")
    return {"output": str(output.absolute())}


def _talk(report: dict[str, Any]) -> list[str]:
    from nanoconsole.services.format import size

    types = ", ".join(f"{count} {kind}" for kind, count in sorted(report["types"].items()))
    what = f"{report['architecture']}, {size(report['bytes'])}: {types}"
    return [what, *report["notes"], *(f"left out: {each}" for each in report["dropped"])]
