"""`nanoconsole report`: what one run or several came to, as one file or in the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nanoconsole.cli import complete
from nanoconsole.cli.options import Json, Runs, examples
from nanoconsole.cli.output import emit, say, tell
from nanocore.errors import UsageError

Names = Annotated[list[str], typer.Argument(metavar="RUN...", help="Names of runs.", autocompletion=complete.runs)]


def register(app: typer.Typer) -> None:
    lines = ("report tiny-cpu-0001", "report tiny-cpu-0001 --output tiny.html", "report first second --output both.md")
    app.command("report", epilog=examples(*lines))(report)


def report(
    names: Names,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE.html|.md", help="Write a file; an earlier one is replaced.")
    ] = None,
    runs: Runs = None,
    json: Json = False,
) -> None:
    """Report on runs: values, curves, differences.

    State, newest values, what differs in the configuration, curves, checkpoints, events and alerts, samples, machine and
    versions. Without --output as Markdown on stdout, its plots in characters. An HTML file holds everything itself.
    """
    from nanoconsole.services.reports.files import write_whole
    from nanoconsole.services.reports.gather import gather
    from nanocore.runs.layout import find_run, run_root

    kind = output.suffix.lower() if output else ".md"
    if kind not in (".html", ".md"):
        raise UsageError("ends neither in .html nor in .md", where=str(output), fix="choose one of them")
    root = run_root(runs)
    document, plots = gather([find_run(root, name) for name in dict.fromkeys(names)])
    if json and output is None:
        return emit(document)
    if kind == ".html":
        from nanoconsole.services.reports.page import page

        text = page(document, plots)
    else:
        from nanoconsole.services.reports.markdown import markdown

        text = markdown(document, plots)
    if output is None:
        return tell(text.rstrip("\n"))
    write_whole(output, text)
    return emit({"path": str(output), "bytes": len(text.encode())}) if json else say(f"wrote {output}")
