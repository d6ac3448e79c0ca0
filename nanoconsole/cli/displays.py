"""Three ways to show a run that is followed: a display that redraws, plain lines, JSON lines."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from nanoconsole.cli.output import emit_line, say, tell
from nanoconsole.services import format
from nanoconsole.services.run_facts import fires
from nanocore.runs.curve import value

if TYPE_CHECKING:
    from nanoconsole.cli.view import RunView
    from nanoconsole.services.alert_log import Alert
    from nanocore.runs.records import Record

BEGINNING = ("starting", "preparing", "building")  # phases before an attempt's first step
SPARSE = 10.0  # seconds between two records that are told on a slow line
TOLD = ("checkpoint", "warning", "health", "nonfinite", "resumed", "paused")  # how it ended is the last line's to say


class Display(Protocol):
    """Shows a view after each poll; used as a context, so that the terminal is left in order."""

    def __enter__(self) -> Display: ...
    def __exit__(self, *exception: object) -> None: ...
    def show(self, view: RunView) -> None: ...
    def note(self, text: str) -> None: ...
    def warn(self, alert: Alert) -> None: ...


def choose(*, as_json: bool, every: int, sparse: bool = False) -> Display:
    """The display that suits stdout; `every` is the number of steps between plain lines, `sparse` sends few bytes."""
    from nanoconsole.cli.terminal import draws

    if as_json:
        return JsonDisplay()
    if sparse:
        return SparseDisplay()
    if draws():
        from nanoconsole.cli.live import LiveDisplay

        return LiveDisplay()
    return LineDisplay(every)


class _Plain:
    """A display without anything to put in order at its end."""

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *exception: object) -> None:
        sys.stdout.flush()

    def note(self, text: str) -> None:
        say(text)

    def warn(self, alert: Alert) -> None:
        tell(f"alert: {alert_line(alert)}")


class JsonDisplay(_Plain):
    """Every record and event as one JSON line: `{"kind": "metrics" | "event" | "state" | "alert", ...}`."""

    def __init__(self) -> None:
        self._told: dict[str, Any] = {}

    def note(self, text: str) -> None:
        emit_line({"kind": "note", "text": text})

    def warn(self, alert: Alert) -> None:
        from nanoconsole.services.alert_log import as_json

        emit_line({"kind": "alert", **as_json(alert)})

    def show(self, view: RunView) -> None:
        for entry in view.news:
            kind = {"kind": "event", "event": entry["kind"]} if "kind" in entry else {"kind": "metrics"}
            emit_line({**entry, **kind})
        state = {
            "state": view.state.state,
            "phase": view.state.phase,
            "reason": view.state.reason,
            "stall": view.stall,
            "exit_code": view.exit_code if view.ended else None,
        }
        if state != self._told:
            self._told = state
            emit_line({"kind": "state", "run": view.run.name, "step": view.step, "steps": view.steps, **state})


class LineDisplay(_Plain):
    """A line for the first step, every so many and at each evaluation, and one for each phase and event worth knowing."""

    def __init__(self, every: int) -> None:
        self._every, self._phase, self._counting = max(1, every), "", False

    def show(self, view: RunView) -> None:
        for entry in view.news:
            for line in self._lines(entry, view):
                tell(line)
        for each in fires([entry for entry in view.news if entry.get("kind") == "fire"]):
            tell(f"FIRE at {each.text}")
        self._show_phase(view)

    def _lines(self, entry: Record, view: RunView) -> list[str]:
        """What is told of a record or an event."""
        step, kind = entry.get("step"), entry.get("kind")
        if kind == "sample":
            return [f"step {step}: sample", *(f"  | {line}" for line in view.sample)]
        if kind is not None:
            return [event_line(entry)] if kind in TOLD else []
        if not isinstance(step, int):
            return []
        due = not self._counting or step % self._every == 0 or "eval/bits_per_byte" in entry
        self._counting = True
        return [record_line(entry, view.steps)] if due else []

    def _show_phase(self, view: RunView) -> None:
        """Preparation is told by phase, not by percent; once steps are counted their lines say enough."""
        text = f"{view.run.name}: {view.stall or view.activity}"
        phase = re.sub(r"\d+", "", text)
        if phase != self._phase and (view.state.phase in BEGINNING or not view.step or view.ended or view.stall):
            self._phase = phase
            tell(f"{text}{result(view)}" if view.ended else text)


class SparseDisplay(LineDisplay):
    """For slow lines: the newest record at most once in `SPARSE` seconds, what happened at once, of samples only the step."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(1)
        self._clock, self._next = clock, 0.0
        self._newest: Record | None = None

    def show(self, view: RunView) -> None:
        super().show(view)
        if self._newest is not None and (self._clock() >= self._next or view.ended):
            self._next = self._clock() + SPARSE
            tell(record_line(self._newest, view.steps))
            self._newest = None

    def _lines(self, entry: Record, view: RunView) -> list[str]:
        kind = entry.get("kind")
        if kind == "sample":
            return [f"step {entry.get('step')}: sample"]
        if kind is None and isinstance(entry.get("step"), int):
            self._newest = {**(self._newest or {}), **entry}  # an evaluation in between is told with the newest step
            return []
        return super()._lines(entry, view)


def record_line(record: Record, steps: int) -> str:
    """One record in words: `step 120/1000  loss 1.832  held-out 2.61 bits/byte  31.0k tok/s`."""
    parts = [f"step {record['step']}" + (f"/{steps}" if steps else "")]
    for key, before, after in (
        ("loss/ce", "loss ", ""),
        ("eval/bits_per_byte", "held-out ", " bits/byte"),
        ("throughput/tokens_per_sec", "", " tok/s"),
    ):
        if (found := value(record, key)) is not None:
            parts.append(f"{before}{measure(key, found)}{after}")
    return "  ".join(parts)


def event_line(event: Record) -> str:
    """One event in words: `step 400: checkpoint`."""
    message = event.get("message") or event.get("path") or ""
    place = f"step {event['step']}: " if isinstance(event.get("step"), int) else ""
    return f"{place}{event.get('kind')}" + (f": {message}" if message else "")


def alert_line(alert: Alert) -> str:
    """One alert in words: `step 400: loss spike: 8.1 robust standard deviations ...; see docs/troubleshooting.md#...`."""
    detail = f" ({alert.detail})" if alert.detail else ""
    return f"step {alert.step}: {alert.title}: {alert.text}{detail}; see {alert.link}"


def result(view: RunView) -> str:
    """What a run has reached, beside what a compressor reaches on the same text: `, 1.72 bits/byte held-out (xz -9: 1.84)`."""
    bits = view.measures.get("eval/bits_per_byte")
    if bits is None:
        return ""
    beside = f" (xz -9: {format.number(view.xz)})" if view.xz is not None else ""
    return f", {measure('eval/bits_per_byte', bits)} bits/byte held-out{beside}"


def measure(key: str, found: float | str | None) -> str:
    """A metric as people read it; nan and inf stay words."""
    if isinstance(found, str):
        return found
    return format.count(found) if key.startswith("throughput/") else format.number(found)
