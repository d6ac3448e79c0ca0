"""What charts of a run mark along their x axis: its own milestones, and the alerts that consoles raised on it."""

from __future__ import annotations

from collections.abc import Iterable

from nanoconsole.services.alert_log import Alert
from nanoconsole.services.watched import RunUpdate
from nanoconsole.tui.widgets.chart_spec import Mark, MarkKind


def marks(update: RunUpdate, alerts: Iterable[Alert], axis: str) -> tuple[Mark, ...]:
    """All of them that have a place on the axis."""
    found = [_mark(update, axis, each.step, each.kind, each.text) for each in update.milestones]
    found += [_mark(update, axis, each.step, "alert", each.title) for each in alerts if each.run == update.run]
    return tuple(mark for mark in found if mark is not None)


def _mark(update: RunUpdate, axis: str, step: int, kind: MarkKind, text: str) -> Mark | None:
    x = update.history.place(step, axis)
    return Mark(x, kind, text) if x is not None else None
