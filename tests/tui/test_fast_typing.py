"""Keys that come faster than the console draws: each has its effect in the order in which it was pressed."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.events import Key
from textual.keys import key_to_character
from textual.pilot import Pilot
from textual.widgets import Input

from nanoconsole.tui.widgets.field_editor import FieldEditor
from nanoconsole.tui.widgets.source_pane import TomlArea
from nanocore.config import toml
from nanocore.runs.layout import list_runs
from tests.tui.scenes import console, cursor_on, seen

pytestmark = pytest.mark.usefixtures("presets")
SIZE = (120, 34)
TYPED = (  # over 600, which is selected as editing begins
    (("backspace", "backspace", *"371"), "371"),
    (("backspace", "backspace", "backspace", *"48"), "48"),
    (("backspace", *"512", "backspace", "7"), "517"),
    (("end", *"12", "left", "backspace", "3"), "60032"),
    (("home", "9", "delete", "ctrl+a", "4"), "4900"),
)


async def burst(pilot: Pilot[None], *keys: str) -> str:
    """Press all keys before the app can look at the first of them, as a terminal that is read late hands them on."""
    for key in keys:
        pilot.app.post_message(Key(key, key_to_character(key)))
    return await seen(pilot)


async def test_keys_at_once_change_a_value_as_one_by_one(root: Path) -> None:
    app = console(root)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2")
        editor = app.screen.query_one(FieldEditor)
        for keys, typed in TYPED:
            cursor_on(app, "training.steps")
            await pilot.press("enter")
            assert f" {typed}  was 600" in await burst(pilot, *keys)
            assert editor.query_one(Input).value == typed and editor.editing
            assert "was 600" not in await burst(pilot, *keys, "escape")
            assert not editor.editing
            await pilot.press("enter")
            text = await burst(pilot, *keys, "enter")
            assert f" {typed}  was 600" in text and "✗" not in text and not editor.editing
            await pilot.press("u")


async def test_launching_at_once_launches_what_was_typed(root: Path, started: list[str]) -> None:
    app = console(root)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2")
        cursor_on(app, "training.steps")
        await pilot.press("enter")
        await burst(pilot, "backspace", *"371", "ctrl+l")
        await app.workers.wait_for_complete()
        assert started == ["tiny-cpu-0001"]
        assert toml.load(list_runs(root)[0].config_file).training.steps == 371


@pytest.mark.slow
async def test_keys_at_once_change_text_and_dialogs_as_one_by_one(root: Path) -> None:
    app = console(root)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2", "ctrl+s")
        await seen(pilot)
        await burst(pilot, "ctrl+u", *"ab", "backspace", "c")
        assert app.screen.query_one("#preset-name", Input).value == "ac"
        await pilot.press("escape", "t")
        await burst(pilot, *"xy", "backspace", "z", "left", "w")
        assert app.screen.query_one(TomlArea).text.startswith("xwz")
