"""One run looked at closely: its history, log, newest sample and meters, read from its folder piece by piece."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nanoconsole.services.history import History
from nanoconsole.services.meters import MeterReader, Meters
from nanoconsole.services.metrics_reader import MetricsReader
from nanoconsole.services.milestones import Milestone, MilestoneReader
from nanoconsole.services.run_facts import FactsReader, RunFacts
from nanoconsole.services.verdict import Verdict, judge
from nanocore.files import open_regular
from nanocore.runs.layout import RunFolder
from nanocore.runs.liveness import RunState, observe
from nanocore.runs.log import LogTail
from nanocore.runs.stall import StallWatch
from nanocore.runs.status import Status
from nanocore.runs.text import sanitize

LOG_LINES = 5000
LOG_KEEP = 256 << 10  # bytes of log shown of a run that is older than this console
Place = tuple[int, int]  # how often the log began anew, and lines since then
START: Place = (0, 0)
SAMPLE_BYTES = 64 << 10
TURN = 0.001  # seconds after which a thread that computes lets another one run; Python's own 5 ms make frames late
METERS = (1.0, 5.0)  # least seconds between two readings of the meters: of a run at work, and of one at rest
SLICE = 0.5  # seconds of reading a long history between two looks at everything else


@dataclass(frozen=True)
class Sample:
    """Text the model wrote at a step; sanitised."""

    step: int
    text: str


class LogBuffer:
    """The newest lines of a log. The poller adds; a view asks for what came since it last asked."""

    def __init__(self, keep: int = LOG_LINES) -> None:
        self._lock = threading.Lock()
        self._lines: deque[str] = deque(maxlen=keep)
        self._place: Place = START

    def add(self, lines: list[str], *, restarted: bool = False) -> None:
        """Append lines; `restarted` says that the file began anew, so earlier lines are void."""
        with self._lock:
            beginning, total = self._place
            if restarted:
                self._lines.clear()
                beginning, total = beginning + 1, 0
            self._lines.extend(lines)
            self._place = (beginning, total + len(lines))

    def since(self, place: Place = START) -> tuple[list[str], Place, bool]:
        """The kept lines after `place`, the place after them, and whether what was shown before is void."""
        with self._lock:
            void = place[0] != self._place[0]
            missed = self._place[1] - (0 if void else place[1])
            kept = min(missed, len(self._lines))
            return list(self._lines)[len(self._lines) - kept :], self._place, void


@dataclass(frozen=True)
class RunUpdate:
    """What is known of a watched run now. `history` and `log` go on growing; the rest is of one moment."""

    run: RunFolder
    state: RunState
    status: Status | None
    history: History
    verdict: Verdict
    log: LogBuffer
    sample: Sample | None
    meters: Meters | None
    reading: bool  # more of its history is on the way
    facts: RunFacts
    milestones: tuple[Milestone, ...] = ()

    @property
    def step(self) -> int:
        """The newest step, by the trainer's status or by the records, whichever is ahead."""
        return max(self.status.step if self.status else 0, int(self.history.span("step")[1]))

    @property
    def steps(self) -> int:
        """Steps of the whole run; 0 while they are not known."""
        return self.status.steps if self.status else 0

    @property
    def eta(self) -> float | None:
        """Seconds to the last step at the pace of the newest records; None when it is not running or not known."""
        pace = self.history.pace()
        if self.state.state != "running" or not self.state.alive or not self.steps or pace is None:
            return None
        return max(0, self.steps - self.step) / pace


class WatchedRun:
    """Follows one run. Each `poll` reads for a short time, the newest first, so no poll takes long."""

    def __init__(self, run: RunFolder, root: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        sys.setswitchinterval(TURN)
        self.run, self.history, self.log = run, History(), LogBuffer()
        self._metrics = MetricsReader(run.metrics_file, self.history)
        self._tail = LogTail(run.log_file, keep=LOG_KEEP)
        self._meters, self._clock = MeterReader(root), clock
        self._metered: tuple[float, Meters] | None = None
        self._sample: Sample | None = None
        self._facts, self._milestones = FactsReader(run), MilestoneReader(run)
        self._stalls = StallWatch(clock)

    def poll(self, *, meters: bool = True) -> RunUpdate:
        """The run as it is now. The state is read first, so that an ended run is read whole."""
        state = observe(self.run)
        stall = self._stalls.see(state.status) if state.alive and state.status else None
        if state.state != "gone":  # what was read of it stays on the screen
            self._read()
        facts = self._facts.read()
        return RunUpdate(
            run=self.run,
            state=state,
            status=state.status,
            history=self.history,
            verdict=judge(state, self.history, stall, facts.streams),
            log=self.log,
            sample=self._sample,
            meters=self._read_meters(state) if meters else None,
            reading=self._metrics.pending or self._tail.pending,
            facts=facts,
            milestones=self._milestones.read(),
        )

    def _read_meters(self, state: RunState) -> Meters:
        """The meters, not read again before it is time."""
        now = self._clock()
        if self._metered is None or now - self._metered[0] >= METERS[not state.alive]:
            self._metered = (now, self._meters.read(state.pid if state.alive else 0))
        return self._metered[1]

    def _read(self) -> None:
        """Read on in metrics and log, and the newest sample."""
        self._metrics.read(SLICE)
        lines = self._tail.read()
        self.log.add(lines, restarted=self._tail.restarted)
        self._sample = self._newest_sample()

    def _newest_sample(self) -> Sample | None:
        """The sample of the highest step, read again only when there is a newer one."""
        try:
            names = [path.stem for path in self.run.samples_dir.iterdir() if path.suffix == ".txt"]
            steps = [int(name[5:]) for name in names if name.startswith("step-") and name[5:].isdecimal()]
            if not steps or (self._sample and self._sample.step == max(steps)):
                return self._sample
            with os.fdopen(open_regular(self.run.sample_file(max(steps))), "rb") as file:
                return Sample(max(steps), sanitize(file.read(SAMPLE_BYTES).decode("utf-8", "replace")))
        except OSError:
            return self._sample
