"""Lets a configuration wait for its turn: alone, or every combination of some values as a sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Checkbox, Input, Static, TextArea

from nanoconsole.services import sweep
from nanoconsole.services.cost import Timing, cost
from nanoconsole.services.format import duration
from nanoconsole.services.launcher import Wanted
from nanoconsole.services.sweep import Planned
from nanoconsole.tui import keys
from nanoconsole.tui.screens.dialog import Dialog
from nanoconsole.tui.widgets.bars import KeyBar
from nanoconsole.tui.widgets.value_input import TextLine, TextLines
from nanocore.errors import NanoError
from nanocore.runs.queue_document import MOST_RESTARTS, MOST_SLOTS
from nanocore.runs.text import sanitize_line

FAILURE = {False: "go on when one fails", True: "halt when one fails"}


@dataclass(frozen=True)
class Order:
    """What is to be queued."""

    wanted: tuple[Wanted, ...]
    slots: int
    stop_on_failure: bool
    restarts: int


@dataclass(frozen=True)
class Outlook:
    """The runs that the lines make and their time together, or why there are none."""

    runs: tuple[Planned, ...] = ()
    seconds: float | None = None
    fault: str = ""


class EnqueueScreen(Dialog[Order | None]):
    """Dismissed with the order, None for escape. The runs are planned in a thread while the lines are typed."""

    SCOPE = "enqueue"
    CSS_PATH = "enqueue.tcss"
    BINDINGS = [*keys.bindings("enqueue")]

    def __init__(self, table: Mapping[str, Any], *, stem: str, name: str, root: Path, timings: list[Timing]) -> None:
        """`table` is the configuration; runs are named `name`, else `stem`, with the values that differ."""
        super().__init__()
        self._table, self._stem, self._name, self._root, self._timings = table, stem, name, root, timings
        self._outlook: Outlook | None = None

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Content.assemble(("Queue ", "bold"), (self._name or self._stem, "bold $accent")))
            yield Static(Content.styled("sweep over: key = v1, v2, v3; several lines make a grid", "$axis"))
            yield TextLines(compact=True, soft_wrap=False, tab_behavior="focus", id="axes")
            with Horizontal(id="queue-line"):
                yield Static(Content.styled("runs side by side ", "$axis"))
                yield TextLine("1", compact=True, select_on_focus=False, type="integer", max_length=2, id="slots")
                yield Checkbox(Content(FAILURE[False]), compact=True)
            with Horizontal(id="restarts-line"):
                yield Static(Content.styled("restarts after a crash or a kill, at most ", "$axis"))
                yield TextLine("0", compact=True, select_on_focus=False, type="integer", max_length=4, id="restarts")
            yield Static(id="outlook")
        yield KeyBar()

    def on_mount(self) -> None:
        self._plan()

    def on_text_area_changed(self) -> None:
        self._plan()

    def on_checkbox_changed(self, event: Checkbox.Changed) -> None:
        event.checkbox.label = Content(FAILURE[event.value])

    def _plan(self) -> None:
        """Work out, in a thread, what the lines make."""
        self._outlook = None
        lines = self.query_one("#axes", TextArea).text.splitlines()
        self.run_worker(lambda: self._look(lines), thread=True, group="plan")

    def _look(self, lines: list[str]) -> None:
        outlook = plan(lines, self._table, self._name or self._stem, self._root, self._timings)
        self.app.call_from_thread(self._take, lines, outlook)

    def _take(self, lines: list[str], outlook: Outlook) -> None:
        if self.is_attached and lines == self.query_one("#axes", TextArea).text.splitlines():
            self._outlook = outlook
            self.query_one("#outlook", Static).update(_words(outlook))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.action_queue()

    def action_queue(self) -> None:
        """Queue what is planned; not before it is, and nothing with a fault."""
        outlook, slots = self._outlook, self._number("#slots", 1, MOST_SLOTS)
        restarts = self._number("#restarts", 0, MOST_RESTARTS) if slots is not None else None
        if slots is not None and restarts is not None and outlook is not None and not outlook.fault:
            single = len(outlook.runs) == 1 and not outlook.runs[0].sets
            wanted = tuple(Wanted(run.config, self._name if single else run.name) for run in outlook.runs if run.config)
            self.dismiss(Order(wanted, slots, self.query_one(Checkbox).value, restarts))

    def _number(self, name: str, least: int, most: int) -> int | None:
        """What is typed in a line; None, and the cursor goes there, when it is not in the range."""
        line = self.query_one(name, Input)
        if line.value.isdecimal() and least <= int(line.value) <= most:
            return int(line.value)
        line.focus()
        return None


def plan(lines: Sequence[str], table: Mapping[str, Any], stem: str, root: Path, timings: list[Timing]) -> Outlook:
    """What lines make of a configuration. A sweep with a run that cannot be trained is refused as a whole."""
    try:
        runs = tuple(sweep.plan(table, sweep.axes(lines), stem, lambda name: (root / name).exists()))
    except NanoError as error:
        return Outlook(fault=sanitize_line(str(error)))
    bad = [run for run in runs if run.config is None]
    if bad:
        more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        return Outlook(runs, fault=f"{', '.join(bad[0].sets)}: {bad[0].problem}{more}")
    return Outlook(runs, _seconds(runs, timings))


def _seconds(runs: Sequence[Planned], timings: list[Timing]) -> float | None:
    """All runs one after another; None when one of them is unknown."""
    total = 0.0
    for run in runs:
        try:
            seconds = cost(run.config, timings).seconds if run.config else None
        except NanoError:
            seconds = None
        if seconds is None:
            return None
        total += seconds
    return total


def _words(outlook: Outlook) -> Content:
    if outlook.fault:
        return Content.styled(f"✗ {outlook.fault}", "$error")
    count = len(outlook.runs)
    head = "one run" if count == 1 else f"{count} runs of at most {sweep.MOST}"
    known = f"≈ {duration(outlook.seconds)} of training" if outlook.seconds is not None else "time unknown"
    lines = [Content.assemble((head, "bold"), (f"  {known}", "$axis"))]
    if count > 1 or outlook.runs[0].sets:
        lines.append(Content(f"  {outlook.runs[0].name}"))
    if count > 1:
        lines.append(Content.assemble(("  to " if count > 2 else "  and ", "$axis"), outlook.runs[-1].name))
    return Content("\n").join(lines)
