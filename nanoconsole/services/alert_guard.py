"""Watches over every working run: one console of a root evaluates and acts, all of them tell.

The one is who holds the lock beside the records; when it leaves, another takes over. So an alert is raised once and
its actions are done once, however many consoles look on.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nanoconsole.services.alert_file import compact
from nanoconsole.services.alert_log import Alert, AlertList, AlertLog, condensed, ending, raised
from nanoconsole.services.alert_rules import BY_NAME
from nanoconsole.services.settings import Settings
from nanocore.runs.layout import RunFolder, alerts_file, alerts_lock

if TYPE_CHECKING:
    from nanoconsole.services.run_checks import Change, RunChecks  # what they import, the first frame does not wait for

Working = Mapping[RunFolder, float]  # the runs at work, each with its time of creation


@dataclass(frozen=True)
class Look:
    """What a look found: all alerts, and those that were raised since the look before."""

    alerts: AlertList
    raised: tuple[Alert, ...] = ()


def free_bytes(root: Path) -> float:
    """Bytes free on the disk of `root`; infinite when it cannot be asked."""
    try:
        return shutil.disk_usage(root).free
    except OSError:
        return float("inf")


class Guard:
    """The alerts of one root. One thread calls `look`; `tell` gets a line for what an action could not do."""

    def __init__(
        self,
        root: Path,
        settings: Settings,
        tell: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` is Unix time, for the records; `ticks` grows steadily, for what stands still."""
        self.root, self._settings, self._tell = root, settings, tell
        self._clock, self._ticks = clock, ticks
        self._log = AlertLog(root)
        self._told = {alert.id for alert in self._log.read().alerts}
        self._checks: dict[RunFolder, tuple[float, RunChecks]] = {}
        self._lock: int | None = None
        self._before: AlertList | None = None

    def use(self, settings: Settings) -> None:
        """Judge by other settings from the next look on; what is past raises nothing again."""
        self._settings = settings
        self._checks = {}

    def close(self) -> None:
        """Let another console take over."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def look(self, working: Working) -> Look | None:
        """Look at the runs that work now; None when nothing changed since the last look."""
        alerts = self._log.read()
        if working or self._checks or any(_depends(alert) for alert in alerts.alerts):
            self._evaluate(working)
            alerts = self._log.read()
        if alerts is self._before:
            return None
        self._before = alerts
        news = tuple(alert for alert in alerts.alerts if alert.id not in self._told)
        self._told |= {alert.id for alert in news}
        return Look(alerts, news)

    def _evaluate(self, working: Working) -> None:
        if not self._is_mine():
            self._checks = {}
            return
        compact(alerts_file(self.root), lambda room: condensed(AlertLog(self.root).read(), room))
        alerts = self._log.read()
        for run, created in working.items():
            if self._checks.get(run, (None,))[0] != created:
                self._checks[run] = (created, self._new_checks(run, created, alerts))
        free = free_bytes(self.root)
        for run, (created, checks) in list(self._checks.items()):
            self._record(run, created, checks.look(free), alerts)
            if run not in working:
                del self._checks[run]
        self._end(alert for alert in self._log.read().alerts if _depends(alert) and alert.run not in working)

    def _new_checks(self, run: RunFolder, created: float, alerts: AlertList) -> RunChecks:
        """Checks that know which alerts of the run are still open; that it ended badly once is over now."""
        from nanoconsole.services.run_checks import RunChecks

        lasting = [alert for alert in alerts.of(run, created) if alert.open]
        self._end(alert for alert in lasting if alert.rule == "ended")
        rules = frozenset(alert.rule for alert in lasting if _depends(alert))
        return RunChecks(run, self._settings, open_rules=rules, clock=self._ticks)

    def _record(self, run: RunFolder, created: float, changes: list[Change], alerts: AlertList) -> None:
        """Write down what changed and do what the rules of new alerts ask for; a muted rule raises nothing."""
        from nanoconsole.services.alert_actions import act

        for change in changes:
            if not change.raised:
                known = self._log.read().of(run, created)
                self._end(each for each in known if each.open and each.rule == change.rule)
            elif (run, change.rule) not in alerts.muted:
                alert = made(run, created, change, self._clock())
                self._log.add([raised(alert)])
                act(alert, self._settings, self._tell)

    def _end(self, alerts: Iterable[Alert]) -> None:
        """Write down that alerts are over."""
        entries = [ending(alert, "cleared", self._clock()) for alert in alerts]
        if entries:
            self._log.add(entries)

    def _is_mine(self) -> bool:
        """Whether this console evaluates: it holds the lock, or takes it now."""
        if self._lock is None:
            self._lock = _locked(alerts_lock(self.root))
        return self._lock is not None


def _depends(alert: Alert) -> bool:
    """Whether an alert lasts no longer than its run works."""
    return alert.open and alert.rule != "ended"


def made(run: RunFolder, created: float, change: Change, now: float) -> Alert:
    """The alert of a change."""
    reading = change.reading
    return Alert(
        id=f"{run.name}:{change.rule}:{created:.6f}:{now:.6f}",  # a new run of an old name may raise it at the same moment
        rule=change.rule,
        run=run,
        created=created,
        step=change.step,
        time=now,
        value=reading.value,
        low=reading.low,
        high=reading.high,
        text=reading.text,
        detail=change.detail,
        section=change.section or BY_NAME[change.rule].section,
    )


def _locked(path: Path) -> int | None:
    """A descriptor that holds the lock; None while another console does. Where there is no place for a lock, or no locks,
    each console looks for itself.
    """
    try:
        path.parent.mkdir(exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    except OSError:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:  # a file system without such locks
        pass
    return descriptor
