"""What the verbs over an experiment do, `compare` and `bench e3`: queue its runs, watch them, show the report."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nanoconsole.cli.options import Json, Runs
from nanoconsole.cli.output import emit, say, tell, write
from nanocore.errors import UsageError
from nanocore.runs.hints import to_type
from nanocore.wording import counted

if TYPE_CHECKING:
    from nanocore.compare.spec import Spec

INTERVAL = 0.5
INTERRUPTED = 130
DIVERGED, FAILED = 4, 1

Again = Annotated[bool, typer.Option("--continue", help="Keep the runs that finished, go on with the others.")]
ReportOnly = Annotated[bool, typer.Option("--report-only", help="Print what is known now and start nothing.")]
Slots = Annotated[int, typer.Option("--slots", min=1, max=64, help="Runs side by side.")]
Detach = Annotated[bool, typer.Option("--follow/--detach", help="Wait for the report, or return once all is queued.")]
Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help="Write REPORT.md, report.html, report.json and runs.csv there."),
]


@dataclass(frozen=True)
class Asked:
    """What is to be done with an experiment: the options of every verb over one (`command`)."""

    again: Again = False
    report_only: ReportOnly = False
    slots: Slots = 2
    follow: Detach = True
    out: Out = None
    runs: Runs = None
    json: Json = False


def command(verb: Callable[..., None]) -> Callable[..., None]:
    """`verb(..., *, asked: Asked)` as Typer registers it: with the options of `Asked` behind its own."""
    own, shared = (dict(inspect.signature(each, eval_str=True).parameters) for each in (verb, Asked))
    del own["asked"]

    @functools.wraps(verb)
    def called(**given: Any) -> None:
        verb(**{name: given[name] for name in own}, asked=Asked(**{name: given[name] for name in shared}))

    parameters = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in (*own.values(), *shared.values())]
    vars(called)["__signature__"] = inspect.Signature(parameters)
    return called


def pursue(context: typer.Context, verb: str, spec: Spec, asked: Asked) -> None:
    """Queue the runs of an experiment that are to be made, watch them and show the report, as far as it was asked for.

    `verb` is the command that was typed, without its options.
    """
    from nanoconsole.services.experiment_plan import notes, told
    from nanocore.compare.experiment import prepare
    from nanocore.runs import queue
    from nanocore.runs.layout import run_root

    root = run_root(asked.runs)
    if asked.again and asked.report_only:
        raise UsageError("--continue and --report-only exclude each other")
    if asked.out is not None:
        from nanoconsole.services.reports.experiment import make_folder

        make_folder(asked.out)  # hours before anything is written there
    argv = ["nanoconsole", *(context.find_root().obj or ())]
    if not asked.report_only:
        for line in notes(spec):
            say(f"{spec.name}: {line}")
        queued = prepare(spec, root, again=asked.again, slots=asked.slots, argv=argv)
        queue.wake(root)
        say(f"{spec.name}: {counted(len(queued), 'run')} queued in {root}; look: {to_type('queue list')}")
        say(f"{spec.name}: {told(spec, root, queued, asked.slots)}")
        if not asked.follow:
            return emit({"experiment": spec.name, "queued": queued}) if asked.json else None
        watch(spec, root, verb)
    raise typer.Exit(show(spec, root, asked, argv))


def watch(spec: Spec, root: Path, verb: str) -> None:
    """Say how far the experiment is, until none of its runs waits or works. Exits with 130 on Ctrl-C."""
    from nanocore.runs import queue

    told = ""
    try:
        while True:
            queue.wake(root)
            found = queue.read_queue(root)
            line = progress(spec, root, found.entries)
            if line != told:
                told = line
                say(line)
            if not any(entry.experiment == spec.name for entry in found.pending()):
                return
            if found.halted and not found.pending("running"):
                raise UsageError(f"the queue is halted: {found.halted}", fix=f"go on with: {to_type('queue start')}")
            time.sleep(INTERVAL)
    except KeyboardInterrupt:
        say(f"{spec.name} goes on; its report: {to_type(f'{verb} --continue')}, with the same options")
        raise typer.Exit(INTERRUPTED) from None


def progress(spec: Spec, root: Path, entries: list[Any]) -> str:
    """`mtp: 4 of 18 runs ended; mtp-baseline-s1 400/800, mtp-mtp2-s1 380/800`, in tenths of each run."""
    from nanocore.runs.layout import RunFolder
    from nanocore.runs.status import read_status

    own = [entry for entry in entries if entry.experiment == spec.name]
    ended = sum(entry.state not in ("waiting", "running") for entry in own)
    working = []
    for entry in own:
        status = read_status(RunFolder(root / entry.run)) if entry.state == "running" else None
        if status is not None and status.steps:
            working.append(f"{entry.run} {10 * (10 * status.step // status.steps)} %")
    return f"{spec.name}: {ended} of {len(own)} runs ended" + (f"; {', '.join(working)}" if working else "")


def show(spec: Spec, root: Path, asked: Asked, argv: list[str]) -> int:
    """Write the report's files and print it; the exit code: when it should be whole, 4 or 1 for runs without a result."""
    from nanocore.compare.report import report

    document = report(spec, root, argv)
    written = []
    if asked.out is not None:
        from nanoconsole.services.reports.experiment import save

        written = save(document, asked.out)
    emit(document) if asked.json else _print(document, lambda: _plan(spec, root, document, asked))
    for path in written:
        say(f"wrote {path}")
    if document["complete"] or asked.report_only:
        return 0
    return DIVERGED if any(run["state"] == "diverged" for run in document["runs"]) else FAILED


def _plan(spec: Spec, root: Path, document: dict[str, Any], asked: Asked) -> str:
    from nanoconsole.services.experiment_plan import told

    return told(spec, root, [run["run"] for run in document["runs"]], asked.slots)


def _print(document: dict[str, Any], plan: Callable[[], str]) -> None:
    """As Markdown; in a terminal as tables that fit it, and before anything was trained only what will be."""
    from nanoconsole.cli.fitted import show_sections, terminal_width
    from nanocore.compare.markdown import markdown
    from nanocore.compare.sections import begun, sections, title

    width = terminal_width()
    if width is None:
        return write(markdown(document))
    if not begun(document):
        return tell(f"{document['name']}: nothing has been trained yet: {plan()}")
    return show_sections(title(document), sections(document), width)
