"""What makes tests of the screens quick: nothing is waited for by the clock, and no style sheet is parsed twice."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any
from weakref import WeakKeyDictionary

import pytest
from textual._context import active_app
from textual.app import App
from textual.css.stylesheet import Stylesheet
from textual.worker import Worker

ROUNDS = 3  # of the event loop without anything to do, after which it is idle
PATIENCE = 1.0  # seconds that a thread's work is waited for, once: some of it ends with the test
_parsed: dict[tuple[object, ...], Any] = {}
_deadlines: WeakKeyDictionary[Worker[Any], float] = WeakKeyDictionary()


async def idle(min_sleep: float = 0.0, max_sleep: float = 0.0) -> None:
    """Return when the event loop has nothing to do, and what waited for the next frame or a size has been drawn.

    It stands in for Textual's own, which sleeps 20 ms at a time, twice a key, until the process uses little of the
    processor: slow on a quiet machine, and on a busy one no proof of anything.
    """
    app = active_app.get()
    await _nothing_ready()
    await _threads_done(app)
    if app._resize_timer is not None:
        app._check_resize()
        await _nothing_ready()
    app.screen._on_timer_update()
    await _nothing_ready()


async def _threads_done(app: App[Any]) -> None:
    """Wait for what the app does in threads, and for what follows: whether it is done by now depends on the machine."""
    while any(_awaited(worker) for worker in app.workers):
        await asyncio.sleep(0.001)
        await _nothing_ready()


def _awaited(worker: Worker[Any]) -> bool:
    deadline = _deadlines.setdefault(worker, monotonic() + PATIENCE)
    return not worker.is_finished and monotonic() < deadline


async def _nothing_ready() -> None:
    ready: Any = asyncio.get_running_loop()._ready  # type: ignore[attr-defined]
    rounds = 0
    while rounds < ROUNDS:
        await asyncio.sleep(0)
        rounds = 0 if ready else rounds + 1


def _parse_once(sheet: Stylesheet, css: str, *place: Any, **options: Any) -> Any:
    """Rules are the same for the same text under the same variables, whichever app they are for."""
    key = (css, place, *sorted(options.items()), *sorted(sheet._variables.items()))
    if key not in _parsed:
        _parsed[key] = _parse(sheet, css, *place, **options)
    return _parsed[key]


_parse = Stylesheet._parse_rules


def be_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the tests of this folder wait for events only."""
    monkeypatch.setattr("textual.app.wait_for_idle", idle)
    monkeypatch.setattr("textual.pilot.wait_for_idle", idle)
    monkeypatch.setattr(App, "delay_update", lambda app, delay=0.0: None)  # a screen that changes hides 50 ms of it
    monkeypatch.setattr(Stylesheet, "_parse_rules", _parse_once)
