"""The alerts of all roots that a console shows, and what a user decides about them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from nanoconsole.services.alert_file import write
from nanoconsole.services.alert_guard import Guard, Look
from nanoconsole.services.alert_log import Alert, AlertList, ending, muting
from nanoconsole.services.listed import RunList
from nanoconsole.services.settings import Settings
from nanocore.runs.layout import RunFolder, alerts_file


class Alerts:
    """A guard for each root. `look` belongs to one thread, `use` may be called by any."""

    def __init__(
        self,
        settings: Settings,
        tell: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = self._wanted = settings
        self._tell, self._clock, self._ticks = tell, clock, ticks
        self._guards: dict[Path, Guard] = {}
        self._lists: dict[Path, AlertList] = {}

    def use(self, settings: Settings) -> None:
        """Judge by other settings from the next look on."""
        self._wanted = settings

    def close(self) -> None:
        for guard in self._guards.values():
            guard.close()

    def look(self, runs: RunList) -> Look | None:
        """Look at the working runs of a list; None while nothing changed, or while the list is not whole yet."""
        if runs.unread:
            return None
        if self._wanted is not self._settings:
            self._settings = self._wanted
            for guard in self._guards.values():
                guard.use(self._settings)
        found: list[Alert] = []
        changed = False
        for root in {runs.root, *(listed.run.path.parent for listed in runs.runs)}:
            working = {
                listed.run: listed.summary.created
                for listed in runs.runs
                if listed.summary.alive and listed.run.path.parent == root
            }
            look = self._guard(root).look(working)
            if look is not None:
                self._lists[root], changed = look.alerts, True
                found += look.raised
        return Look(_joined(self._lists.values()), tuple(found)) if changed else None

    def _guard(self, root: Path) -> Guard:
        if root not in self._guards:
            self._guards[root] = Guard(root, self._settings, self._tell, clock=self._clock, ticks=self._ticks)
        return self._guards[root]


def acknowledge(alerts: Iterable[Alert]) -> None:
    """Record that a user has seen alerts. Raises ResourceError when it cannot be written."""
    for alert in alerts:
        write(alerts_file(alert.run.path.parent), [ending(alert, "acknowledged", time.time())])


def mute(run: RunFolder, rule: str, *, muted: bool) -> None:
    """Let a rule raise nothing on a run from now on, or again. Raises ResourceError when it cannot be written."""
    write(alerts_file(run.path.parent), [muting(run, rule, muted=muted, now=time.time())])


def _joined(lists: Iterable[AlertList]) -> AlertList:
    lists = list(lists)
    alerts = sorted((alert for each in lists for alert in each.alerts), key=lambda alert: (-alert.time, alert.id))
    muted = frozenset(pair for each in lists for pair in each.muted)
    return AlertList(tuple(alerts), muted, next((each.problem for each in lists if each.problem), ""))
