"""The settings dialog: every key of it, that a change is applied and kept at once, and that a bad value is not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from nanoconsole.services.settings import load, settings_file
from nanoconsole.services.settings_schema import SETTINGS
from nanoconsole.tui.app import ConsoleApp
from nanoconsole.tui.screens.settings import SettingsScreen
from tests.tui.scenes import console, lay, look, screen_text, seen
from tests.tui.test_golden import SLOW, check


@asynccontextmanager
async def opened(root: Path, size: tuple[int, int] = (100, 30)) -> AsyncIterator[tuple[ConsoleApp, Pilot[None]]]:
    lay(root, "done", steps=5)
    app = console(root)
    async with app.run_test(size=size) as pilot:
        look(app)
        await pilot.press("comma")
        await seen(pilot)
        assert isinstance(app.screen, SettingsScreen)
        yield app, pilot


async def cursor_on(app: ConsoleApp, pilot: Pilot[None], key: str) -> None:
    options = app.screen.query_one(OptionList)
    options.highlighted = options.get_option_index(key)
    await seen(pilot)


async def test_there_is_a_row_for_every_setting(root: Path) -> None:
    async with opened(root) as (app, _):
        rows = {option.id for option in app.screen.query_one(OptionList).options if option.id}
        assert rows == {setting.key for setting in SETTINGS}


async def test_a_choice_is_applied_and_saved_at_once(root: Path) -> None:
    async with opened(root) as (app, pilot):
        await pilot.press("right")
        await app.workers.wait_for_complete()
        assert app.theme == "nano-light"
        assert load().theme == "nano-light"
        await pilot.press("left", "left")
        await app.workers.wait_for_complete()
        assert load().theme == "nano-ansi"
        await pilot.press("u")
        await app.workers.wait_for_complete()
        assert load().theme == app.theme == "nano-dark"


@pytest.mark.slow
async def test_of_many_quick_changes_the_last_one_is_kept(root: Path) -> None:
    async with opened(root) as (app, pilot):
        await pilot.press(*["right"] * 8)
        await app.workers.wait_for_complete()
        assert load().theme == app.settings.theme == app.theme == "nano-contrast"


async def test_a_switch_changes_by_enter(root: Path) -> None:
    async with opened(root) as (app, pilot):
        await cursor_on(app, pilot, "alerts.disk.enabled")
        await pilot.press("enter")
        await app.workers.wait_for_complete()
        assert not load().enabled("disk")
        assert "◆ enabled" in await seen(pilot)


async def test_a_number_is_typed_and_a_refused_one_is_explained_and_not_kept(root: Path) -> None:
    async with opened(root) as (app, pilot):
        await cursor_on(app, pilot, "refresh_hz")
        await pilot.press("enter", *"50")
        assert "✗ is not a number from 0.1 to 10" in await seen(pilot)
        await pilot.press("enter")
        assert not settings_file().exists()
        await pilot.press("backspace", "enter")
        await app.workers.wait_for_complete()
        assert load().refresh_hz == 5.0
        assert app.follower._interval == 0.2
        assert not app.screen.query_one(Input).display


async def test_escape_leaves_the_line_and_then_the_dialog(root: Path) -> None:
    async with opened(root) as (app, pilot):
        await cursor_on(app, pilot, "refresh_hz")
        await pilot.press("enter", "9", "escape")
        assert isinstance(app.screen, SettingsScreen)
        assert app.settings.refresh_hz == 1.0
        await pilot.press("escape")
        assert app.screen is app.screen_stack[0]
    assert not settings_file().exists()


@pytest.mark.slow
async def test_words_are_typed_as_in_a_shell_and_kept_as_a_list(root: Path) -> None:
    async with opened(root) as (app, pilot):
        await cursor_on(app, pilot, "alerts.command")
        await pilot.press("enter")
        app.screen.query_one(Input).value = "notify-send 'a [red]run[/]' \"half"
        assert "quotation mark" in await seen(pilot)
        app.screen.query_one(Input).value = "notify-send 'a [red]run[/]' {text}"
        await pilot.press("enter")
        await app.workers.wait_for_complete()
        assert load().command == ("notify-send", "a [red]run[/]", "{text}")
        assert "[red]run[/]" in await seen(pilot)


async def test_what_cannot_be_saved_is_told(root: Path, private_home: Path) -> None:
    settings_file().parent.mkdir(parents=True)
    settings_file().write_text("theme = ")
    async with opened(root, (140, 30)) as (app, pilot):
        await pilot.press("right")
        await app.workers.wait_for_complete()
        assert app.theme == "nano-light"
        assert "not saved: " in " ".join((await seen(pilot)).split())
    assert settings_file().read_text() == "theme = "


async def test_the_next_theme_is_kept_too(root: Path) -> None:
    app = console(root)
    async with app.run_test() as pilot:
        app.action_next_theme()
        await app.workers.wait_for_complete()
        await seen(pilot)
        assert load().theme == "nano-light"


@pytest.mark.parametrize("size", SLOW, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_it_looks_as_it_did(size: tuple[int, int], root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nanoconsole.tui.screens.settings.settings_file", lambda: Path("~/.config/settings.toml"))
    async with opened(root, size) as (app, pilot):
        await cursor_on(app, pilot, "alerts.loss_spike.above")
        check(f"settings-{size[0]}x{size[1]}", screen_text(app))
