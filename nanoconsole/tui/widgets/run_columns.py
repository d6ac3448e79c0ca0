"""The columns of the list of runs: what each shows, how wide it is, and from which terminal width on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nanoconsole.services.format import NOTHING, age, arrow, count, duration, number
from nanoconsole.services.listed import Listed
from nanoconsole.services.run_fields import Context
from nanoconsole.services.spark import spark
from nanoconsole.tui.theme import look

NARROWEST, WIDEST = 12, 64  # the column of names
BESIDE = 28  # the same when the column of last words takes what is left
LOSS = 5  # characters of a loss before its arrow
COURSE = 10  # characters of the course of the loss
MARGIN = 2  # cells before the first column: the mark of a selected run
GAP = 1
Cell = tuple[str, str]  # text and theme colour


@dataclass(frozen=True)
class Column:
    """`room` is the terminal width from which the column is shown; those of width 0 share what is left.

    `sort` is the field that a click on the title sorts by.
    """

    title: str
    room: int
    width: int
    cell: Callable[[Listed, Context], Cell]
    sort: str = ""
    right: bool = True


def _state(run: Listed, context: Context) -> Cell:
    style = look(run.state)
    return f"{style.mark} {run.state}", style.colour


def _name(run: Listed, context: Context) -> Cell:
    return run.label, "axis" if run.notes.archived else "value"


def _step(run: Listed, context: Context) -> Cell:
    summary = run.summary
    if summary.steps:
        return f"{summary.step:,}/{summary.steps:,}", "foreground"
    return f"{summary.step:,}" if summary.step or summary.alive else NOTHING, "foreground"


def _loss(run: Listed, context: Context) -> Cell:
    loss = run.summary.loss
    bad = loss is not None and loss != loss
    text = number(loss)
    if loss is not None and len(text) > LOSS and 0.001 <= abs(loss) < 1:
        text = f"{loss:.3f}"  # the arrow keeps its place
    return f"{text} {arrow(run.trend)}", "error" if bad else "foreground"


def _alerts(run: Listed, context: Context) -> Cell:
    found = context.alerts(run)
    return (f"▲{min(found, 99)}", "warning") if found else ("", "axis")


def _tags(run: Listed, context: Context) -> Cell:
    return " ".join(("archived", *run.notes.tags) if run.notes.archived else run.notes.tags), "accent"


def _last_word(run: Listed, context: Context) -> Cell:
    return run.notes.note or run.stall or run.summary.message, "axis"


COLUMNS = (
    Column("state", 0, 11, _state, "state", right=False),
    Column("run", 0, 0, _name, "name", right=False),
    Column("tags", 140, 16, _tags, "tag", right=False),
    Column("preset", 120, 12, lambda run, _: (run.summary.preset, "axis"), "preset", right=False),
    Column("step", 0, 13, _step, "step"),
    Column("loss", 0, 7, _loss, "loss"),
    Column("course", 96, COURSE, lambda run, _: (spark(run.spark, COURSE), "primary"), "trend", right=False),
    Column("bits/byte", 70, 9, lambda run, _: (number(run.summary.bits_per_byte), "foreground"), "bpb"),
    Column("tok/s", 70, 6, lambda run, _: (count(run.summary.tokens_per_second), "foreground"), "speed"),
    Column("left", 80, 7, lambda run, _: (duration(run.summary.eta), "foreground"), "left"),
    Column("alerts", 108, 6, _alerts, "alerts"),
    Column("started", 130, 9, lambda run, context: (age(run.summary.created or None, context.now), "axis"), "created"),
    Column("note, last word", 165, 0, _last_word, right=False),
)


def shown(room: int) -> tuple[Column, ...]:
    """The columns of a terminal `room` cells wide."""
    return tuple(column for column in COLUMNS if room >= column.room)


def widths(columns: Sequence[Column], room: int) -> list[int]:
    """Width of each column in `room` cells; of what is left the name takes its part first."""
    used = MARGIN + sum(column.width for column in columns) + GAP * (len(columns) - 1)
    left = max(NARROWEST, room - used)
    name = min(left, WIDEST if sum(not column.width for column in columns) == 1 else BESIDE)
    return [column.width or (name if column.sort == "name" else left - name) for column in columns]
