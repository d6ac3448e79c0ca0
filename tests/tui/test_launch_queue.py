"""From Launch into the queue: one run or a sweep, its order, its failures, cancelling, halting and starting again."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
from textual.pilot import Pilot
from textual.widgets import Checkbox, Input, TextArea

from nanoconsole.tui.app import ConsoleApp
from nanoconsole.tui.screens.enqueue import EnqueueScreen
from nanoconsole.tui.screens.queue import QueueScreen
from nanocore.config import toml
from nanocore.runs import queue
from nanocore.runs.layout import find_run, list_runs
from tests import command_line
from tests.command_line import Nano
from tests.tui.scenes import NOW, console, cursor_on, lay, seen

pytestmark = pytest.mark.usefixtures("presets")
SIZE = (120, 34)
nano = command_line.nano


@pytest.fixture(autouse=True)
def woken(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Roots whose supervisor would have been started."""
    roots: list[Path] = []
    monkeypatch.setattr(queue, "wake", lambda root: bool(roots.append(root)))
    return roots


async def done(pilot: Pilot[None]) -> str:
    await pilot.pause()
    await pilot.app.workers.wait_for_complete()
    return await seen(pilot)


def line(app: ConsoleApp, kind: type, name: str = "") -> str:
    return cast("str", app.screen.query_one(name or "*", kind).value)


async def test_a_configuration_waits_for_its_turn_with_its_changes_and_name(root: Path, woken: list[Path]) -> None:
    app = console(root)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2")
        cursor_on(app, "mhc.streams")
        await pilot.press("right")
        app.screen.query_one("#run-name", Input).value = "later"
        await pilot.press("w")
        assert "one run" in await done(pilot)
        await pilot.press("tab", "backspace", "2", "tab", "space")
        assert app.screen.query_one(Checkbox).value and "halt when one fails" in await seen(pilot)
        await pilot.press("tab", "backspace", "ctrl+l")
        assert isinstance(app.screen, EnqueueScreen)  # a number is missing
        await pilot.press("3", "ctrl+l")
        assert "later waits in the queue" in await done(pilot)
        [entry] = queue.read_queue(root).entries
        assert (entry.run, entry.slots, entry.stop_on_failure, woken) == ("later", 2, True, [root])
        assert entry.restarts == 3
        assert toml.load(find_run(root, "later").config_file).mhc.streams == 2
        assert app.screen.query_one("#run-name", Input).value == ""


@pytest.mark.slow
async def test_a_sweep_is_planned_while_it_is_typed_and_queued_as_a_grid(root: Path) -> None:
    app = console(root)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2", "w")
        await done(pilot)
        axes = app.screen.query_one("#axes", TextArea)
        for text, words in (
            ("training.seed = 1, 1", "✗ training.seed: has the value 1 twice"),
            ("model.n_heads = 4, 5", "✗ model.n_heads=5: "),
            (f"training.seed = {', '.join(map(str, range(300)))}", "300 runs are more than the 256 of one sweep"),
            ("training.seed = \x1b[2J", "must be a whole number"),
        ):
            axes.text = text
            assert words in await done(pilot)
            await pilot.press("ctrl+l")
            assert isinstance(app.screen, EnqueueScreen)
        axes.text = "training.seed = 1, 2\noptimizer.matrix_lr = 0.01, 0.02"
        text = await done(pilot)
        assert "4 runs of at most 256" in text and "tiny-cpu-seed-2-matrix_lr-0.02" in text
        app.screen.query_one("#slots", Input).value = "0"
        await pilot.press("ctrl+l")
        assert isinstance(app.screen, EnqueueScreen)
        app.screen.query_one("#slots", Input).value = "3"
        await pilot.press("enter")  # in its line
        assert "4 runs wait in the queue" in await done(pilot)
        runs = {run.name: toml.load(run.config_file) for run in list_runs(root)}
        assert len(runs) == 4 and runs["tiny-cpu-seed-2-matrix_lr-0.01"].optimizer.matrix_lr == 0.01
        assert [entry.slots for entry in queue.read_queue(root).pending()] == [3] * 4


@pytest.mark.slow
async def test_a_draft_with_faults_is_not_queued_and_escape_queues_nothing(root: Path) -> None:
    app = console(root)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2", "w")
        await done(pilot)
        await pilot.press("escape")
        cursor_on(app, "model.n_layers")
        await pilot.press("enter", "x", "enter", "escape")
        cursor_on(app, "model.n_layers")
        await pilot.press("enter", "x", "tab")
        app.screen.query_one("Form").focus()
        await pilot.press("w")
        assert "it cannot be queued: see its faults" in await seen(pilot)
        assert queue.read_queue(root).entries == []


async def test_the_queue_is_ordered_shared_halted_and_started_again(root: Path, woken: list[Path]) -> None:
    for name in ("a", "b", "c"):
        lay(root, name, state="created", steps=1)
        queue.add(root, [queue.Entry(run=name, restarts=4 * (name == "a"))])
    app = console(root)

    def waiting() -> list[str]:
        return [entry.run for entry in queue.read_queue(root).pending("waiting")]

    def entry(run: str) -> queue.Entry:
        return next(each for each in queue.read_queue(root).entries if each.run == run)

    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2", "Q")
        text = " ".join((await done(pilot)).replace("│", " ").split())
        assert "0 at work, 3 waiting" in text and "at most 4 times" in text
        for key, order in (("J", "bac"), ("J", "bca"), ("K", "bac"), ("shift+up", "abc"), ("shift+down", "bac")):
            await pilot.press(key)
            await done(pilot)
            assert waiting() == [*order]  # the cursor goes with its run
        await pilot.press("f", "plus")
        assert "halts" in await done(pilot)
        assert (entry("a").stop_on_failure, entry("a").slots) == (True, 2)
        await pilot.press("minus", "f")
        await done(pilot)
        assert (entry("a").stop_on_failure, entry("a").slots) == (False, 1)
        assert "h Halt" in await done(pilot)
        await pilot.press("h")
        assert "Halted: halted by hand" in await done(pilot)
        await pilot.press("s")
        assert "Halted" not in await done(pilot) and woken == [root]
        await pilot.press("x")
        text = await done(pilot)
        assert waiting() == ["b", "c"] and "cancelled" in text and "cancelled before it began" in text
        lines = (await seen(pilot)).splitlines()
        row = next(index for index, each in enumerate(lines) if "2 c" in each)
        await pilot.click(offset=(lines[row].index("2 c") + 2, row))
        assert isinstance(app.screen, QueueScreen) and "c  works alone" in await seen(pilot)
        await pilot.press("up", "enter")
        await seen(pilot)
        assert app.opened is not None and app.opened.name == "b" and app.current_mode == "live"


@pytest.mark.slow
async def test_a_stalled_run_is_marked_with_how_its_place_is_freed(root: Path, nano: Nano) -> None:
    for name, updated in (("stuck", NOW - 300), ("busy", NOW)):
        lay(root, name, state="running", steps=1, updated=updated)
        queue.add(root, [queue.Entry(run=name, state="running", slots=2)])
    app = console(root)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2", "Q")
        text = await done(pilot)
        assert "2 at work, 0 waiting  1 stalled" in text and "◍ stalled" in text and "● running" in text
        assert "does not react for 5m 00s" in text
        assert "S there ends it, by force if need be" in " ".join(text.replace("│", " ").split())
    listed = nano("queue", "list")
    assert "stuck keeps its place until it ends; end it: " in listed.err and "stop stuck --kill" in listed.err


@pytest.mark.slow
async def test_what_cannot_be_read_or_done_is_one_line(root: Path) -> None:
    app = console(root)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2", "Q")
        text = await done(pilot)
        assert "The queue is empty" in text and "Halt" not in text
        lay(root, "gone", state="created", steps=1)
        queue.add(root, [queue.Entry(run="gone")])
        cast("QueueScreen", app.screen)._look()
        await done(pilot)
        queue.cancel(root, "gone")
        await pilot.press("x")  # shown as waiting still
        assert "has ended already: cancelled" in await done(pilot)
        (root / ".nanoconsole" / "queue" / "queue.json").write_text("{")
        cast("QueueScreen", app.screen)._look()
        assert "the queue cannot be read" in await done(pilot)
        await pilot.press("escape")
        assert not isinstance(app.screen, QueueScreen)
