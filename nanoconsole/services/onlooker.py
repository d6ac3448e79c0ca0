"""The alert rules on one run for somebody who looks on: nothing is recorded, and no action is done."""

from __future__ import annotations

import time
from collections.abc import Callable

from nanoconsole.services.alert_guard import free_bytes, made
from nanoconsole.services.alert_log import Alert, AlertLog
from nanoconsole.services.run_checks import RunChecks
from nanoconsole.services.settings import load
from nanocore.runs.facts import read_facts
from nanocore.runs.layout import RunFolder

INTERVAL = 1.0  # seconds between two judgements, however often the run is looked at


class Onlooker:
    """Judges a run by the user's rules while it is watched, in any folder that can be read."""

    def __init__(self, run: RunFolder, ticks: Callable[[], float] = time.monotonic) -> None:
        settings = load()
        self._run, self._created = run, read_facts(run).created
        self._checks = RunChecks(run, settings, clock=ticks)
        self._log = AlertLog(run.path.parent)
        self._ticks, self._due = ticks, 0.0

    def look(self, *, last: bool = False) -> list[Alert]:
        """What was raised since the look before, without rules that are muted on the run; `last` is never too early."""
        if self._ticks() < self._due and not last:
            return []
        self._due = self._ticks() + INTERVAL
        raised = [change for change in self._checks.look(free_bytes(self._run.path)) if change.raised]
        muted = self._log.read().muted if raised else frozenset()
        now = time.time()
        heard = [change for change in raised if (self._run, change.rule) not in muted]
        return [made(self._run, self._created, change, now) for change in heard]
