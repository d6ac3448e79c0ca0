"""The list of runs: what it shows, and that its keys reach the run under the cursor."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import OptionList

from nanoconsole.tui.app import ConsoleApp
from nanoconsole.tui.widgets.run_table import RunTable
from nanocore.runs.layout import RunFolder
from tests.tui.scenes import at_work, console, lay, look, seen, set_status


def under_cursor(app: ConsoleApp) -> str:
    chosen = app.screen.query_one(RunTable).chosen
    return chosen.label if chosen else ""


def commands(run: RunFolder) -> list[str]:
    return sorted(path.name for path in run.control_dir.iterdir())


async def test_only_changed_rows_are_drawn_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [lay(root, f"r-{number}", steps=5) for number in range(3)]
    drawn: list[str] = []
    app = console(root)
    async with app.run_test(size=(120, 20)) as pilot:
        look(app)
        await seen(pilot)
        real = RunTable._strip
        monkeypatch.setattr(
            RunTable, "_strip", lambda *given, **how: drawn.append(given[1][1][0]) or real(*given, **how)
        )
        set_status(runs[1], step=77, message="now at 77")
        look(app)
        assert "77/400" in await seen(pilot)
        assert set(drawn) == {"r-1"}


async def test_the_cursor_stays_on_its_run_when_another_appears(root: Path) -> None:
    lay(root, "old", steps=3, age=500)
    lay(root, "older", steps=3, age=900)
    app = console(root)
    async with app.run_test() as pilot:
        look(app)
        await pilot.pause()
        await pilot.press("down")
        assert under_cursor(app) == "older"
        lay(root, "new", steps=3, age=10)
        look(app)
        await pilot.pause()
        assert under_cursor(app) == "older"
        assert (await seen(pilot)).index(" new ") < (await seen(pilot)).index(" old ")


async def test_pause_checkpoint_and_resume_reach_the_run(root: Path) -> None:
    run = lay(root, "busy", state="running", steps=5)
    app = console(root)
    with at_work(run):
        async with app.run_test(size=(120, 24)) as pilot:
            look(app)
            await pilot.pause()
            await pilot.press("p", "k")
            await app.workers.wait_for_complete()
            assert commands(run) == ["checkpoint", "pause"]
            set_status(run, state="paused", phase="paused")
            look(app)
            assert "Go on" in await seen(pilot)
            await pilot.press("p")
            await app.workers.wait_for_complete()
            assert commands(run) == ["checkpoint", "pause", "resume"]


async def test_each_way_of_the_stop_dialog_means_what_it_says(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, killed = lay(root, "busy", state="running", steps=5), []
    monkeypatch.setattr("nanocore.runs.steer.force_stop", lambda run, patience: killed.append((run.name, patience)))
    app = console(root)
    with at_work(run):
        async with app.run_test() as pilot:
            look(app)
            await seen(pilot)
            left = []
            for way in range(4):
                await pilot.press("S", *["down"] * way)
                assert app.screen.query_one(OptionList).highlighted == way
                await pilot.press("enter")
                await app.workers.wait_for_complete()
                left.append((commands(run), list(killed)))
                for path in run.control_dir.iterdir():
                    path.unlink()
    assert [names for names, _ in left] == [["stop"], ["stop-after-checkpoint"], [], []]
    assert [deaths for _, deaths in left] == [[], [], [("busy", 0.0)], [("busy", 0.0)]]


async def test_escape_leaves_the_stop_dialog_without_stopping(root: Path) -> None:
    run = lay(root, "busy", state="running", steps=5)
    app = console(root)
    with at_work(run):
        async with app.run_test() as pilot:
            look(app)
            await pilot.pause()
            await pilot.press("S")
            assert "no checkpoint yet" in " ".join((await seen(pilot)).split())
            await pilot.press("escape")
            assert commands(run) == []
            assert app.screen.query(RunTable)


async def test_an_ended_run_is_resumed_and_not_paused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, started = lay(root, "done", state="stopped", steps=5), []
    monkeypatch.setattr("nanocore.runs.spawn.spawn_trainer", lambda run, **options: started.append(run.name) or 1)
    app = console(root)
    async with app.run_test() as pilot:
        look(app)
        assert "Pause" not in await seen(pilot)
        await pilot.press("p", "S", "k")
        await app.workers.wait_for_complete()
        assert commands(run) == []
        await pilot.press("r")
        await app.workers.wait_for_complete()
        assert started == ["done"]


async def test_enter_opens_the_run_under_the_cursor(root: Path) -> None:
    lay(root, "one", steps=5, age=10)
    lay(root, "two", steps=5, age=20)
    app = console(root)
    async with app.run_test() as pilot:
        look(app)
        await pilot.pause()
        await pilot.press("down", "enter")
        assert app.current_mode == "live"
        assert app.opened == RunFolder(root / "two")


async def test_a_click_on_the_title_bar_and_the_key_bar_acts(root: Path) -> None:
    lay(root, "one", steps=5)
    app = console(root)
    async with app.run_test(size=(100, 24)) as pilot:
        look(app)
        lines = (await seen(pilot)).splitlines()
        await pilot.click(offset=(lines[0].index("3 Live") + 2, 0))
        await pilot.pause()
        assert app.current_mode == "live"
        lines = (await seen(pilot)).splitlines()
        await pilot.click(offset=(lines[23].index("? Help") + 1, 23))
        assert "On this screen" in await seen(pilot)


async def test_a_crashed_run_says_why(root: Path) -> None:
    crashed = lay(
        root, "lost", state="crashed", steps=0, total=0, age=10, message="killed by SIGKILL, " + "so " * 30 + "it is"
    )
    crashed.metrics_file.write_text("")
    crashed.log_file.write_text("a line before\nRuntimeError: no [red]room\n")
    lay(root, "fine", steps=5, age=20)
    app = console(root)
    async with app.run_test(size=(80, 24)) as pilot:
        look(app)
        text = await seen(pilot)
        assert "crashed: killed by SIGKILL" in text
        assert "so it is" in " ".join(text.split())
        assert "its log ends: RuntimeError: no [red]room" in text
        await pilot.press("down")
        assert "its log ends" not in await seen(pilot)
        await pilot.resize_terminal(200, 24)
        row = next(line for line in (await seen(pilot)).splitlines() if " lost " in line)
        assert "killed by SIGKILL" in row


async def test_a_root_that_cannot_be_read_is_told(root: Path) -> None:
    (root / "file").write_text("")
    app = console(root / "file")
    async with app.run_test() as pilot:
        look(app)
        assert "cannot be listed" in await seen(pilot)
