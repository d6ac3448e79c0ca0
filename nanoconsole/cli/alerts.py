"""`nanoconsole alerts`: what left its range on the runs; watching for it without a screen; judging a run afterwards."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from nanoconsole.cli import complete
from nanoconsole.cli.displays import alert_line
from nanoconsole.cli.options import Json, Run, Runs, examples
from nanoconsole.cli.output import emit, emit_line, say, table, tell
from nanocore.errors import UsageError
from nanocore.runs.hints import to_type

if TYPE_CHECKING:
    from pathlib import Path

    from nanoconsole.services.alert_log import Alert, AlertList
    from nanoconsole.services.alerts import Alerts
    from nanoconsole.services.listed import RunList
    from nanoconsole.services.run_index import RunIndex
    from nanocore.runs.layout import RunFolder

FOUND = 3  # exit code: a check found something
INTERVAL = 1.0  # seconds between two looks

OneRun = Annotated[
    str, typer.Argument(metavar="RUN", help="Name of a run; all when left out.", autocompletion=complete.runs)
]
RuleName = Annotated[str, typer.Argument(metavar="RULE", help="Name of a rule, as loss_spike.")]
OpenOnly = Annotated[bool, typer.Option("--open", help="Only those that still last.")]
Off = Annotated[bool, typer.Option("--off", help="Let the rule speak again.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help="Watch the runs for what leaves its range, and list it.", rich_markup_mode=None, no_args_is_help=True
    )
    group.command("list", epilog=examples("alerts list", "alerts list tiny-cpu-0001 --json"))(list_all)
    group.command("watch", epilog=examples("alerts watch tiny-cpu-0001", "alerts watch --json"))(watch)
    group.command("check", epilog=examples("alerts check tiny-cpu-0001"))(check)
    group.command("acknowledge", epilog=examples("alerts acknowledge", "alerts acknowledge a-run"))(acknowledge)
    group.command("mute", epilog=examples("alerts mute a-run throughput", "alerts mute a-run throughput --off"))(mute)
    app.add_typer(group, name="alerts")


def list_all(run: OneRun = "", open: OpenOnly = False, runs: Runs = None, json: Json = False) -> None:
    """List the alerts that were recorded, the newest first."""
    from nanoconsole.services.alert_log import as_json

    found = _recorded(runs, run)
    alerts = [alert for alert in found.alerts if alert.open or not open]
    if json:
        return emit([as_json(alert) for alert in alerts])
    if not alerts:
        return say(f"no alerts; watch for them: {to_type('alerts watch')}")
    return _table(alerts)


def watch(run: OneRun = "", runs: Runs = None, json: Json = False) -> None:
    """Watch the runs and print each alert when it is raised.

    Its actions are done (checkpoint, pause, command) unless another console of these runs does them already. Ends with
    the run, or with the last of them: 3 when something was raised, else 0. Ctrl-C ends only the watching.
    """
    from nanocore.runs.layout import find_run, run_root

    root = run_root(runs)
    wanted = find_run(root, run) if run else None
    with _alerts() as service:
        count = 0
        try:
            for alerts in _looks(service, root, wanted):
                for alert in alerts:
                    count += 1
                    _print(alert, json)
        except KeyboardInterrupt:
            pass
    raise typer.Exit(FOUND if count else 0)


def check(run: Run, runs: Runs = None, json: Json = False) -> None:
    """Judge a run by all its records, from the first to the newest.

    Nothing is recorded and no action is done. The exit code is 3 when a rule would have raised something.
    """
    from nanoconsole.services.alert_guard import free_bytes, made
    from nanoconsole.services.alert_log import as_json
    from nanoconsole.services.run_checks import RunChecks
    from nanoconsole.services.settings import load
    from nanocore.runs.facts import read_facts
    from nanocore.runs.layout import find_run, run_root

    root = run_root(runs)
    folder = find_run(root, run)
    created = read_facts(folder).created
    changes = RunChecks(folder, load(), whole=True).look(free_bytes(root))
    found = [made(folder, created, change, time.time()) for change in changes if change.raised]
    if json:
        emit([as_json(alert) for alert in found])
    elif found:
        table(("step", "rule", "what", "see"), [(each.step, each.rule, each.text, each.link) for each in found])
    else:
        say(f"{run}: no rule would have raised anything")
    raise typer.Exit(FOUND if found else 0)


def acknowledge(run: OneRun = "", runs: Runs = None, json: Json = False) -> None:
    """Mark the alerts of a run, or of all, as seen."""
    from nanoconsole.services.alerts import acknowledge as record

    found = _recorded(runs, run)
    record(found.new)
    return emit({"acknowledged": len(found.new)}) if json else say(f"{len(found.new)} alerts marked as seen")


def mute(run: Run, rule: RuleName, off: Off = False, runs: Runs = None, json: Json = False) -> None:
    """Let a rule say nothing more of a run."""
    from nanoconsole.services.alert_rules import BY_NAME
    from nanoconsole.services.alerts import mute as record
    from nanocore.runs.layout import find_run, run_root

    if rule not in BY_NAME:
        raise UsageError(f"no rule named {rule!r}", fix=f"use one of {', '.join(BY_NAME)}")
    record(find_run(run_root(runs), run), rule, muted=not off)
    if json:
        return emit({"run": run, "rule": rule, "muted": not off})
    return say(f"{rule} {'speaks again' if off else 'says nothing more'} of {run}")


def _recorded(runs: Path | None, run: str) -> AlertList:
    """What is recorded beside the runs, of one run or of all."""
    from dataclasses import replace

    from nanoconsole.services.alert_log import AlertLog
    from nanocore.runs.layout import find_run, run_root

    root = run_root(runs)
    wanted = find_run(root, run) if run else None
    found = AlertLog(root).read()
    return replace(found, alerts=tuple(alert for alert in found.alerts if wanted in (None, alert.run)))


@contextmanager
def _alerts() -> Iterator[Alerts]:
    """The rules with the user's settings; what an action could not do is said."""
    from nanoconsole.services.alerts import Alerts
    from nanoconsole.services.settings import load

    settings = load()
    for problem in settings.problems:
        say(problem)
    service = Alerts(settings, say)
    try:
        yield service
    finally:
        service.close()


def _looks(service: Alerts, root: Path, wanted: RunFolder | None) -> Iterator[list[Alert]]:
    """The alerts of each look, until no run that is watched works any more."""
    from nanoconsole.services.run_index import RunIndex

    index = RunIndex(root)
    while True:
        works, listed = _listed(index, wanted)
        look = service.look(listed)
        yield [alert for alert in (look.raised if look else ()) if wanted in (None, alert.run)]
        if not works:
            return
        time.sleep(INTERVAL)


def _listed(index: RunIndex, wanted: RunFolder | None) -> tuple[bool, RunList]:
    """The whole list of runs, and whether one that is watched works or is about to."""
    listed, waiting = index.look()
    while waiting:
        listed, waiting = index.look()
    states = [each.summary for each in listed.runs if wanted in (None, each.run)]
    return any(summary.alive or summary.state == "starting" for summary in states), listed


def _print(alert: Alert, json: bool) -> None:
    from nanoconsole.services.alert_log import as_json

    return emit_line(as_json(alert)) if json else tell(f"{alert.run.name} {alert_line(alert)}")


def _table(alerts: Iterable[Alert]) -> None:
    from nanoconsole.services.format import age

    now = time.time()
    rows = [
        (age(each.time, now), each.run.name, each.step, each.rule, _state(each), each.text, each.link)
        for each in alerts
    ]
    table(("when", "run", "step", "rule", "state", "what", "see"), rows)


def _state(alert: Alert) -> str:
    return f"{'lasts' if alert.open else 'over'}{', seen' if alert.acknowledged else ''}"
