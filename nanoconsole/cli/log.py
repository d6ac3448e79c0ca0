"""`nanoconsole log`: the lines of a run's log, by level, regular expression and step."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from nanoconsole.cli.options import Json, Run, Runs, examples
from nanoconsole.cli.output import emit_line, tell
from nanocore.errors import UsageError

if TYPE_CHECKING:
    from nanoconsole.services.log_scan import Hit, LogScan
    from nanocore.runs.layout import RunFolder

INTERVAL = 0.25  # seconds between two looks at a log that is followed
Grep = Annotated[str, typer.Option("--grep", metavar="PATTERN", help="Only lines that this regular expression finds.")]
Level = Annotated[str, typer.Option("--level", metavar="LEVEL", help="Only warning and worse, or only error.")]
Step = Annotated[int, typer.Option("--step", min=0, help="From the first line of this step on.")]
Last = Annotated[int, typer.Option("--last", min=0, help="Only the last so many of them; 0: all.")]
Follow = Annotated[bool, typer.Option("--follow", help="Go on with new lines until the run ends or Ctrl-C.")]


def register(app: typer.Typer) -> None:
    lines = (
        "log tiny-cpu-0001 --last 20",
        "log tiny-cpu-0001 --level warning --json",
        "log tiny-cpu-0001 --grep 'held-out|nan' --follow",
    )
    app.command("log", epilog=examples(*lines))(log)


def log(
    run: Run,
    grep: Grep = "",
    level: Level = "",
    step: Step = 0,
    last: Last = 0,
    follow: Follow = False,
    runs: Runs = None,
    json: Json = False,
) -> None:
    """Print the log of a run, or a part of it.

    A pattern in small letters finds capitals too; it is tried on the first 2000 characters of a line. A line without
    time and level, as of a traceback, counts as a warning, or as the error that it follows. --json prints an object a
    line: number, level, text, match.
    """
    from nanoconsole.services.log_scan import LEVELS, LogScan, compiled
    from nanocore.runs.layout import find_run, run_root

    folder = find_run(run_root(runs), run)
    if level.upper() not in LEVELS:
        raise UsageError(f"{level!r} is no level that can be chosen", fix="give warning or error")
    if not folder.log_file.is_file():
        raise UsageError("has no log yet", where=run, fix="a trainer writes it from its start on")
    scan = LogScan(folder.log_file, compiled(grep), level.upper())
    found: Iterable[Hit] = _from_step(scan.hits(), step)
    _print(deque(found, maxlen=last) if last else found, as_json=json)
    if follow:
        _follow(folder, scan, as_json=json)


def _follow(folder: RunFolder, scan: LogScan, *, as_json: bool) -> None:
    """Print new lines until no process works on the run. It is looked at first, so that its last lines are read."""
    from nanocore.runs.liveness import observe

    try:
        at_work = True
        while at_work:
            at_work = observe(folder).at_work
            _print(scan.hits(), as_json=as_json)
            if at_work:
                time.sleep(INTERVAL)
    except KeyboardInterrupt:
        return


def _from_step(hits: Iterator[Hit], step: int) -> Iterator[Hit]:
    """The lines from the first on that tells of `step` or a later one."""
    from nanoconsole.services.log_pieces import step_told

    begun = not step
    for hit in hits:
        begun = begun or (step_told(hit.text.encode()) or 0) >= step
        if begun:
            yield hit


def _print(hits: Iterable[Hit], *, as_json: bool) -> None:
    for hit in hits:
        if as_json:
            emit_line({"line": hit.number + 1, "level": hit.level, "text": hit.text, "match": hit.span})
        else:
            tell(hit.text)
