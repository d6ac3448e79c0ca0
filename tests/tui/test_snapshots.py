"""One picture (SVG) of each screen, in full colour. `pytest --snapshot-update` accepts new ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from textual.pilot import Pilot

from nanoconsole.tui.app import ConsoleApp
from tests.tui.scenes import at_work, console, lay, look, seen

SIZE = (120, 34)
Compare = Callable[..., bool]


@pytest.fixture
def app(root: Path, presets: None) -> Iterator[ConsoleApp]:
    running = lay(root, "tiny-cpu-0003", state="running", age=120)
    lay(root, "tiny-cpu-0002", state="finished", steps=60, total=60, age=7200, message="finished at step 60")
    lay(root, "tiny-cpu-0001", state="crashed", steps=30, age=200_000, message="out of memory")
    with at_work(running):
        yield console(root)


async def _look(pilot: Pilot[None]) -> None:
    look(pilot.app)  # type: ignore[arg-type]
    await seen(pilot)


def test_runs(app: ConsoleApp, snap_compare: Compare) -> None:
    assert snap_compare(app, terminal_size=SIZE, run_before=_look)


def test_launch(app: ConsoleApp, snap_compare: Compare) -> None:
    async def edit(pilot: Pilot[None]) -> None:
        await _look(pilot)
        await pilot.press("2", "tab", "down", "right", "down", "right")
        await pilot.app.workers.wait_for_complete()
        await seen(pilot)

    assert snap_compare(app, terminal_size=SIZE, run_before=edit)


def test_live(app: ConsoleApp, snap_compare: Compare) -> None:
    async def watch(pilot: Pilot[None]) -> None:
        await _look(pilot)
        await pilot.press("enter")
        await _look(pilot)

    assert snap_compare(app, terminal_size=SIZE, run_before=watch)


def test_compare(app: ConsoleApp, snap_compare: Compare) -> None:
    async def compare(pilot: Pilot[None]) -> None:
        await _look(pilot)
        await pilot.press("A", "b", "C")
        await pilot.pause()
        pilot.app.follower.poll_beside()  # type: ignore[attr-defined]
        await pilot.app.workers.wait_for_complete()
        await seen(pilot)

    assert snap_compare(app, terminal_size=SIZE, run_before=compare)
