"""What every verb of `bench` does with what it measured: warns, keeps it as a file, prints it."""

from __future__ import annotations

import json as json_format
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from nanoconsole.cli.model import answers
from nanoconsole.cli.output import emit, say
from nanocore.errors import UsageError
from nanocore.files import is_folder

Report = dict[str, Any]
Out = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="Keep the result there too, for bench compare.")
]


def by_worker(request: dict[str, Any]) -> Report:
    """What a worker process measures; how far it is stands on stderr."""
    return answers(request, lambda answer: say(answer["phase"]) if answer["kind"] == "progress" else None)["report"]


def deliver(
    context: typer.Context,
    kind: str,
    measure: Callable[[], Report],
    show: Callable[[Report], None],
    *,
    json: bool,
    out: Path | None,
) -> None:
    """Measure, keep the result in the file `out` if one is named, and print it as JSON or as `show` does.

    Raises UsageError for a file that cannot be made, before anything is measured.
    """
    from nanoconsole.services.reports.files import write_whole
    from nanocore.bench.results import stamped

    if out is not None and (is_folder(out) or not is_folder(out.absolute().parent)):
        raise UsageError("cannot be made", where=f"--out {out}", fix="name a file in a folder that is there")
    report = stamped(kind, measure(), ["nanoconsole", *(context.find_root().obj or ())])
    for line in report.get("warnings", ()):
        say(f"warning: {line}")
    if out is not None:
        write_whole(out, json_format.dumps(report, indent=1, ensure_ascii=True, allow_nan=False) + "\n")
        say(f"wrote {out}")
    if json:
        emit(report)
    else:
        show(report)
