"""Keys that the user's settings move: dispatch, key bar, help and palette follow, and what cannot be granted is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input

from nanoconsole.services.settings import Settings
from nanoconsole.services.settings_schema import SETTINGS
from nanoconsole.tui import keys
from nanoconsole.tui.app import ConsoleApp
from nanoconsole.tui.screens.help import HelpScreen
from nanoconsole.tui.screens.settings import SettingsScreen
from tests.tui.scenes import NOW, at_work, console, lay, look, seen

Wishes = dict[str, tuple[str, ...]]


def with_keys(root: Path, wishes: Wishes) -> ConsoleApp:
    places = {f"keys.{name}": f"settings.toml:{line}" for line, name in enumerate(wishes, 2)}
    return ConsoleApp(root, settings=Settings(keys=wishes, places=places), follow=False, clock=lambda: NOW)


def told(wishes: Wishes) -> list[str]:
    places = {f"keys.{name}": f"settings.toml:{line}" for line, name in enumerate(wishes, 2)}
    return keys.in_force(wishes, places)[1]


def pressed(wishes: Wishes, name: str) -> str:
    return next(key.keys for key in keys.in_force(wishes, {})[0].rows if key.name == name)


def test_every_action_has_a_name_of_its_own() -> None:
    names = [key.name for key in keys.TABLE]
    assert sorted(names) == sorted(set(names))
    assert {"live.pause", "app.show-runs", "charts.chart+1", "charts.chart-1", "save-preset.next"} <= set(names)


def test_without_wishes_the_table_is_as_it_was() -> None:
    table, problems = keys.in_force({}, {})
    assert table.rows == keys.TABLE
    assert table.keymap == {}
    assert problems == []


@pytest.mark.parametrize(
    ("wish", "keys_now", "shown"),
    [
        (("ctrl+x",), "ctrl+x", "^x"),
        (("?",), "question_mark", "?"),
        (("f6", "X"), "f6,X", "f6"),
        (("shift+f3",), "shift+f3", "⇧f3"),
        ((), "", ""),
    ],
)
def test_a_wish_is_granted_as_it_is_written(wish: tuple[str, ...], keys_now: str, shown: str) -> None:
    free = {"app.help": ("f2",)} if "?" in wish else {}
    row = next(key for key in keys.in_force({**free, "live.pause": wish}, {})[0].rows if key.name == "live.pause")
    assert (row.keys, row.shown) == (keys_now, shown)


@pytest.mark.parametrize(
    ("wishes", "line"),
    [
        ({"live.puase": ("x",)}, "settings.toml:2: live.puase names no action; did you mean live.pause?"),
        ({"live.pause": ("ctl+x",)}, 'settings.toml:2: live.pause cannot be "ctl+x": that is no key'),
        ({"live.pause": ("",)}, 'live.pause cannot be ""'),
        ({"live.pause": ("S",)}, "settings.toml:2: live.pause: S is the key of live.stop; live.pause keeps p"),
        ({"live.pause": ("q",)}, "q is the key of app.leave"),
        ({"app.leave": ("p",)}, "p is the key of runs.pause"),
        ({"charts.zoom": ("k",)}, "k is the key of live.checkpoint"),
    ],
)
def test_what_cannot_be_granted_is_one_line(wishes: Wishes, line: str) -> None:
    (found,) = told(wishes)
    assert line in found
    assert "\n" not in found


def test_the_rest_applies_and_two_actions_may_change_places() -> None:
    wishes: Wishes = {"live.pause": ("S",), "live.stop": ("p",), "live.nonsense": ("x",), "live.text": ("ctrl+t",)}
    assert len(told(wishes)) == 1
    assert [pressed(wishes, f"live.{name}") for name in ("pause", "stop", "text")] == ["S", "p", "ctrl+t"]


def test_of_two_wishes_for_one_key_the_first_has_it() -> None:
    wishes: Wishes = {"live.pause": ("ctrl+t",), "live.stop": ("ctrl+t",)}
    assert told(wishes) == ["settings.toml:3: live.stop: ctrl+t is the key of live.pause; live.stop keeps S"]
    assert pressed(wishes, "live.pause") == "ctrl+t"


def test_one_key_may_mean_different_things_on_different_screens_and_parts() -> None:
    assert told({"live.pause": ("ctrl+t",), "runs.pause": ("ctrl+t",)}) == []
    assert told({"charts.zoom": ("ctrl+y",), "log.follow": ("ctrl+y",)}) == []  # only one of them is shown at a time


async def test_the_new_key_acts_and_the_old_one_does_not(root: Path) -> None:
    run = lay(root, "busy", state="running", steps=5)
    app = with_keys(root, {"runs.pause": ("ctrl+x",), "charts.zoom": ("ctrl+y",), "runs.checkpoint": ()})
    with at_work(run):
        async with app.run_test(size=(140, 30)) as pilot:
            look(app)
            text = (await seen(pilot)).splitlines()[-1]
            assert "^x Pause" in text
            assert " k " not in text
            await pilot.press("p", "k")
            await app.workers.wait_for_complete()
            assert list(run.control_dir.iterdir()) == []
            await pilot.press("ctrl+x")
            await app.workers.wait_for_complete()
            assert [path.name for path in run.control_dir.iterdir()] == ["pause"]


async def test_keys_that_share_one_with_a_moved_key_stay(root: Path) -> None:
    """tab belongs to the charts and to the log, on one screen; moving one of them leaves the other."""
    lay(root, "done", steps=5)
    app = with_keys(root, {"charts.chart+1": ("ctrl+n",)})
    async with app.run_test(size=(120, 34)) as pilot:
        look(app)
        await pilot.press("3")
        await seen(pilot)
        first = app.screen.query_one("Chart.-current")
        await pilot.press("tab")
        assert app.screen.query_one("Chart.-current") is first
        await pilot.press("ctrl+n")
        assert app.screen.query_one("Chart.-current") is not first
        await pilot.press("t")
        assert app.screen.active_bindings["tab"].binding.action == "app.focus_next"


@pytest.mark.slow
async def test_help_and_palette_tell_the_new_key(root: Path) -> None:
    lay(root, "done", steps=5)
    app = with_keys(root, {"runs.open": ("ctrl+g",), "app.command_palette": ("f9",), "app.next_theme": ("f8",)})
    async with app.run_test(size=(100, 100)) as pilot:
        look(app)
        await seen(pilot)
        titles = [command.title for command in app.get_system_commands(app.screen)]
        assert "Open (^g)" in titles
        await pilot.press("question_mark")
        assert isinstance(app.screen, HelpScreen)
        text = await seen(pilot)
        assert "^g  Open the run" in text
        assert "f9  Find any action" in text
        assert "f8  Change the colours" in text
        await pilot.press("escape", "f8")
        assert app.theme == "nano-light"


async def test_faults_are_told_when_the_console_opens(root: Path) -> None:
    lay(root, "done", steps=5)
    app = with_keys(root, {"runs.opne": ("x",), "runs.nothing": ("y",)})
    async with app.run_test(size=(160, 30)) as pilot:
        look(app)
        text = await seen(pilot)
        assert "runs.opne names no action; did you mean runs.open?" in text
        assert "and 1 more" in " ".join(text.split())


def test_nothing_that_the_palette_shows_is_markup() -> None:
    """It parses titles and helps of commands."""
    texts = [text for key in keys.TABLE for text in (key.label, key.help, key.shown)]
    assert not [text for text in [*texts, *(setting.help for setting in SETTINGS)] if "[" in text]


@pytest.mark.parametrize(
    ("query", "mode", "opened"),
    [("run done", "live", "done"), ("preset small", "launch", ""), ("setting bell", "runs", "")],
)
async def test_the_palette_finds_runs_presets_and_settings(
    query: str, mode: str, opened: str, root: Path, presets: None
) -> None:
    lay(root, "done", steps=5)
    app = console(root)
    async with app.run_test(size=(100, 40)) as pilot:
        look(app)
        await seen(pilot)
        await pilot.press("ctrl+p")
        await seen(pilot)
        app.screen.query_one(Input).value = query
        await seen(pilot)
        await app.workers.wait_for_complete()
        await pilot.press("down", "enter")
        await seen(pilot)
        assert app.current_mode == mode
        assert (app.opened.name if app.opened else "") == opened
        if query.startswith("setting"):
            assert isinstance(app.screen, SettingsScreen)
            assert app.screen.chosen is not None
            assert app.screen.chosen.key == "bell"


async def test_jump_puts_a_letter_on_every_part(root: Path, presets: None) -> None:
    app = console(root)
    async with app.run_test(size=(120, 34)) as pilot:
        await pilot.press("2")
        await app.workers.wait_for_complete()
        await seen(pilot)
        before = app.screen.focused
        await pilot.press("ctrl+o")
        assert " a " in await seen(pilot)
        assert " b " in await seen(pilot)
        await pilot.press("b")
        await seen(pilot)
        assert app.screen is app.screen_stack[0]
        assert app.screen.focused is not before
        after = app.screen.focused
        await pilot.press("ctrl+o", "escape")
        await seen(pilot)
        assert app.screen.focused is after


async def test_jump_says_so_where_there_is_nowhere_to_go(root: Path) -> None:
    app = console(root)
    async with app.run_test(size=(100, 24)) as pilot:
        look(app)
        await pilot.press("ctrl+o")
        assert "nowhere else to go" in await seen(pilot)
