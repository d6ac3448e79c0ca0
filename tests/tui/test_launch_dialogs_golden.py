"""The text of Launch, its sweep, its queue and its differences as plain text at four sizes, and one picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import TextArea

from nanocore.runs import queue
from tests.tui.scenes import NOW, console, cursor_on, lay, screen_text, seen
from tests.tui.test_golden import SIZES, check

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("presets")]


async def done(pilot: Pilot[None]) -> str:
    """The screen once every thread has told what it found."""
    await pilot.app.workers.wait_for_complete()
    return await seen(pilot)


def fill_queue(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue with an ended run, one at work and two that wait; nothing is started."""
    monkeypatch.setattr(queue, "wake", lambda root: False)
    for name, age in (("done-0001", 9000), ("busy-0002", 600), ("a-run-with-a-rather-long-name-0003", 60)):
        lay(root, name, steps=5, age=age)
    lay(root, "last-0004", steps=1)
    queue.add(root, [queue.Entry(run=name) for name in ("done-0001", "busy-0002")])
    queue.add(root, [queue.Entry(run="a-run-with-a-rather-long-name-0003", slots=2, stop_on_failure=True)])
    queue.add(root, [queue.Entry(run="last-0004")])
    with queue.editing(root) as found:
        found.replace("done-0001", state="failed", reason="crashed: out of memory", ended=NOW - 3600)
        found.replace("busy-0002", state="running")
        for entry in found.pending():
            found.replace(entry.run, added=NOW - 600)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_text_and_dialogs_look_as_they_did(
    size: tuple[int, int], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_queue(root, monkeypatch)
    app = console(root)
    shape = f"{size[0]}x{size[1]}"
    async with app.run_test(size=size) as pilot:
        await pilot.press("2")
        cursor_on(app, "mhc.streams")
        await pilot.press("right", "t")
        check(f"launch-text-{shape}", await done(pilot))
        while app.screen.has_class("-text"):  # to the form beside it, where there is one, and then away
            await pilot.press("escape")
        await pilot.press("d")
        check(f"diff-{shape}", await done(pilot))
        await pilot.press("escape", "Q")
        check(f"queue-{shape}", await done(pilot))
        await pilot.press("escape", "w")
        await done(pilot)
        app.screen.query_one("#axes", TextArea).text = "training.seed = 1, 2, 3\noptimizer.matrix_lr = 0.01, 0.02, 0.04"
        await seen(pilot)
        check(f"sweep-{shape}", await done(pilot))
        await pilot.press("escape", "o")
        check(f"open-{shape}", await done(pilot))
        assert screen_text(app)


def test_launch_text(root: Path, monkeypatch: pytest.MonkeyPatch, snap_compare: Callable[..., bool]) -> None:
    async def edit(pilot: Pilot[None]) -> None:
        await pilot.press("2", "tab", "down", "right", "t")
        pilot.app.screen.query_one(TextArea).cursor_blink = False  # a picture is taken at any moment
        await done(pilot)

    assert snap_compare(console(root), terminal_size=(160, 40), run_before=edit)
