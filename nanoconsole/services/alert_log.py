"""What consoles recorded of alerts: one file of records beside the runs, which every console reads and adds to.

An alert is an observation of a console, not of the trainer, so it is no part of the run's own events; it outlives the
console, and charts mark it. A record is "raised", "cleared", "acknowledged", "muted" or "heard" (unmuted).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from nanoconsole.services.alert_file import KEEP, write
from nanoconsole.services.alert_rules import BY_NAME, DOCUMENT
from nanocore.errors import ResourceError
from nanocore.runs.curve import LARGEST_STEP, value
from nanocore.runs.layout import RunFolder, alerts_file, valid_name
from nanocore.runs.records import Record, Tail, encode
from nanocore.runs.text import sanitize_line

SHOWN = 300  # characters of a detail


@dataclass(frozen=True)
class Alert:
    """One alert. `created` is that of the run, so that a new run of the same name does not inherit it.

    `text` is made of the console's own words and numbers, and safe as an argument of a program; `detail` may quote the
    run, sanitised. `low` and `high` are the range that `value` left. `cleared` is the time at which it was over.
    """

    id: str
    rule: str
    run: RunFolder
    created: float
    step: int
    time: float
    value: float
    low: float
    high: float
    text: str
    detail: str = ""
    section: str = ""
    cleared: float | None = None
    acknowledged: bool = False

    @property
    def open(self) -> bool:
        """Whether what raised it still lasts."""
        return self.cleared is None

    @property
    def new(self) -> bool:
        """Whether nobody has acknowledged it."""
        return not self.acknowledged

    @property
    def title(self) -> str:
        return BY_NAME[self.rule].title

    @property
    def link(self) -> str:
        """Where the documentation says what to do."""
        return f"{DOCUMENT}#{self.section}"


@dataclass(frozen=True)
class AlertList:
    """Alerts, the newest first; `muted` are (run, rule); `problem` says why none can be recorded."""

    alerts: tuple[Alert, ...] = ()
    muted: frozenset[tuple[RunFolder, str]] = frozenset()
    problem: str = ""

    @property
    def new(self) -> tuple[Alert, ...]:
        return tuple(alert for alert in self.alerts if alert.new)

    def of(self, run: RunFolder, created: float) -> tuple[Alert, ...]:
        """The alerts of one run, for the marks of its charts."""
        return tuple(alert for alert in self.alerts if alert.run == run and alert.created == created)


class AlertLog:
    """Reads and adds to the alerts of one root. `read` follows the file; what this process adds is known at once, written or not."""

    def __init__(self, root: Path) -> None:
        self._root, self._path = root, alerts_file(root)
        self._tail = Tail(self._path, keep=KEEP)
        self._alerts: dict[str, Alert] = {}
        self._muted: set[tuple[RunFolder, str]] = set()
        self._problem = ""
        self._list = AlertList()

    def read(self) -> AlertList:
        """All alerts as they are now; the same object while nothing changes."""
        records = self._tail.read()
        if self._tail.restarted:
            self._alerts, self._muted = {}, set()
        while self._tail.pending:
            records += self._tail.read()
        return self._taken(records)

    def add(self, records: Iterable[Record]) -> AlertList:
        """Record something; without a place to write it is still known here, and `problem` says why not elsewhere."""
        records = list(records)
        try:
            write(self._path, records)
            self._problem = ""
        except ResourceError as error:
            self._problem = str(error)
        return self._taken(records)

    def _taken(self, records: list[Record]) -> AlertList:
        for record in records:
            self._take(record)
        if records or self._problem != self._list.problem:
            newest = sorted(self._alerts.values(), key=lambda alert: (-alert.time, alert.id))
            self._list = AlertList(tuple(newest), frozenset(self._muted), self._problem)
        return self._list

    def _take(self, record: Record) -> None:
        kind, rule, run = record.get("kind"), str(record.get("rule")), RunFolder(self._root / str(record.get("run")))
        alert = self._alerts.get(str(record.get("id")))
        if kind == "raised":
            if alert is None and (found := _alert(record, self._root)) is not None:
                self._alerts[found.id] = found
        elif kind == "muted":
            self._muted.add((run, rule))
        elif kind == "heard":
            self._muted.discard((run, rule))
        elif alert is not None and kind == "cleared":
            self._alerts[alert.id] = replace(alert, cleared=_number(record, "time"))
        elif alert is not None and kind == "acknowledged":
            self._alerts[alert.id] = replace(alert, acknowledged=True)


def raised(alert: Alert) -> Record:
    """The record of a new alert."""
    keys = ("id", "rule", "created", "step", "time", "value", "low", "high", "text", "detail", "section")
    return {"kind": "raised", "run": alert.run.name, **{key: getattr(alert, key) for key in keys}}


def ending(alert: Alert, kind: str, now: float) -> Record:
    """The record that an alert was "cleared" or "acknowledged"."""
    return {"kind": kind, "id": alert.id, "run": alert.run.name, "rule": alert.rule, "time": now}


def muting(run: RunFolder, rule: str, *, muted: bool, now: float) -> Record:
    """The record that a rule raises nothing on a run from now on, or again."""
    return {"kind": "muted" if muted else "heard", "run": run.name, "rule": rule, "time": now}


def condensed(found: AlertList, room: int) -> Iterator[Record]:
    """Records that say the same of the alerts as they are now: all that last and, in `room` bytes, the newest others.

    What is muted on a run stays muted while the run is there.
    """
    for run, rule in sorted(found.muted, key=lambda pair: (pair[0].name, pair[1])):
        if run.path.is_dir():
            yield muting(run, rule, muted=True, now=0.0)
    for alert in sorted(found.alerts, key=lambda alert: not alert.open):
        records = [raised(alert)]
        if not alert.open:
            records.append(ending(alert, "cleared", alert.cleared or alert.time))
        if alert.acknowledged:
            records.append(ending(alert, "acknowledged", alert.time))
        room -= sum(len(encode(record)) for record in records)
        if room < 0 and not alert.open:
            return
        yield from records


def as_json(alert: Alert) -> Mapping[str, object]:
    """An alert as data; numbers that are not finite as words."""
    facts = {name: getattr(alert, name) for name in alert.__dataclass_fields__}
    words = {key: str(found) for key, found in facts.items() if isinstance(found, float) and not math.isfinite(found)}
    return {**facts, **words, "run": alert.run.name, "path": str(alert.run.path), "open": alert.open}


def _alert(record: Record, root: Path) -> Alert | None:
    """The alert of a record; None when something in it is not what it should be."""
    run, rule, step = record.get("run"), record.get("rule"), record.get("step")
    fits = isinstance(run, str) and valid_name(run) and rule in BY_NAME and type(step) is int
    if not fits or not 0 <= step <= LARGEST_STEP:  # type: ignore[operator]
        return None
    text, detail, section = (sanitize_line(str(record.get(key, "")), SHOWN) for key in ("text", "detail", "section"))
    moment = _number(record, "time")
    if not math.isfinite(moment):
        return None
    return Alert(
        id=str(record.get("id")),
        rule=str(rule),
        run=RunFolder(root / str(run)),
        created=_number(record, "created"),
        step=int(step or 0),
        time=moment,
        value=_number(record, "value"),
        low=_number(record, "low"),
        high=_number(record, "high"),
        text=text,
        detail=detail,
        section=section,
    )


def _number(record: Record, key: str) -> float:
    found = value(record, key)
    return math.nan if found is None else found
