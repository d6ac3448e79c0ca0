"""What every verb of `bench` does with what it measured: warns, keeps it as a file, prints it."""

from __future__ import annotations

import json as json_format
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from nanoconsole.cli.model import answers
from nanoconsole.cli.output import emit, say
from nanocore.errors import ResourceError, UsageError
from nanocore.files import is_file, is_folder, is_there

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
    """Measure, print the result as JSON or as `show` does, and keep it in the file `out` if one is named.

    Raises UsageError for a file that cannot be made, ResourceError for one that cannot be written, before anything is measured. What was measured is shown
    before it is written, so that a full disk does not lose it, and written also where it could not be shown.
    """
    from nanocore.bench.results import stamped

    if out is not None:
        _refuse_unwritable(out)
    report = stamped(kind, measure(), ["nanoconsole", *(context.find_root().obj or ())])
    for line in report.get("warnings", ()):
        say(f"warning: {line}")
    try:
        emit(report) if json else show(report)
    finally:
        if out is not None:
            _keep(out, report)


def _refuse_unwritable(out: Path) -> None:
    where, folder = f"--out {out}", out.absolute().parent
    if (is_there(out) and not is_file(out)) or not is_folder(folder):
        raise UsageError("cannot be made", where=where, fix="name a file in a folder that is there")
    if not os.access(folder, os.W_OK | os.X_OK) or (is_there(out) and not os.access(out, os.W_OK)):
        raise ResourceError("cannot be written", where=where, fix="name a file that you may write")


def _keep(out: Path, report: Report) -> None:
    from nanoconsole.services.reports.files import write_whole

    write_whole(out, json_format.dumps(report, indent=1, ensure_ascii=True, allow_nan=False) + "\n")
    say(f"wrote {out}")
