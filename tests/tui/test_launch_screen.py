"""The configuration editor: its form, its faults, its search, its costs."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input, Static

from nanoconsole.tui.widgets.form import Form
from nanocore.config import toml
from nanocore.config.presets import user_folder
from nanocore.runs.layout import list_runs
from tests.tui.scenes import console, cursor_on, seen
from tests.tui.worker_scenes import appeared

pytestmark = pytest.mark.usefixtures("presets")
SIZE = (120, 36)


async def test_a_switch_changes_draft_cost_and_difference(root: Path, started: list[str]) -> None:
    app = console(root)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2")
        cursor_on(app, "mhc.streams")
        before = await appeared(pilot, "next value")  # what switches would add is computed in a thread
        assert "as the preset has it" in before
        await pilot.press("right")
        after = await seen(pilot)
        assert "‹ 2 ›  was 1" in after
        assert "◆ 1 change to the preset" in after
        assert "1 → 2" in after
        assert after.splitlines()[4] != before.splitlines()[4]  # memory
        assert (await appeared(pilot, "next value", "u")).splitlines()[1:12] == before.splitlines()[1:12]
        await pilot.press("right", "ctrl+l")
        await app.workers.wait_for_complete()
        assert started == ["tiny-cpu-0001"]
        assert toml.load(list_runs(root)[0].config_file).mhc.streams == 2


async def test_what_a_preset_expects_stands_below_what_it_is_for(root: Path, tmp_path: Path) -> None:
    file = tmp_path / "built-in" / "tiny-cpu.toml"
    file.write_text(file.read_text().replace("[about]", '[about]\nexpects = "two cores, 5 min"'))
    async with console(root).run_test(size=SIZE) as pilot:
        await pilot.press("2")
        assert "expects two cores, 5 min" in await seen(pilot)


async def test_a_refused_value_is_told_at_its_field_and_not_launched(root: Path, started: list[str]) -> None:
    app = console(root)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2")
        cursor_on(app, "model.n_layers")
        await pilot.press("enter", "backspace", "x")
        text = await seen(pilot)
        assert "✗ n_layers               x" in text
        assert "must be a whole number from 1 to" in text
        assert "✗ 1 fault" in text
        await pilot.press("enter", "ctrl+l", "ctrl+s")
        await app.workers.wait_for_complete()
        assert started == []
        assert list_runs(root) == []
        await pilot.press("enter", "backspace", "3", "enter")
        text = await seen(pilot)
        assert "✗ 1 fault" not in text
        assert "✗ n_layers" not in text
        assert "n_layers               3  was 4" in await seen(pilot)


async def test_values_that_do_not_fit_together_are_told_at_the_field_to_change(root: Path) -> None:
    app = console(root)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2")
        cursor_on(app, "model.d_model")
        await pilot.press("enter", *["backspace"] * 3, *"250", "enter")
        assert "model.n_heads: 4 heads do not" in await seen(pilot)
        await pilot.press("home", "n")
        field = app.screen.query_one(Form).field
        assert field is not None
        assert field.key == "model.n_heads"


@pytest.mark.slow
async def test_escape_gives_an_edited_value_back(root: Path) -> None:
    app = console(root)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2")
        cursor_on(app, "training.steps")
        await pilot.press("enter", "9")
        assert " 9  was 600" in await seen(pilot)
        await pilot.press("escape")
        assert "as the preset has it" in await seen(pilot)
        assert isinstance(app.focused, Form)


async def test_a_second_search_begins_anew(root: Path) -> None:
    app = console(root)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2", "slash", *"loop", "enter", "slash", *"moe")
        assert app.screen.query_one("#search", Input).value == "moe"


async def test_search_finds_fields_by_key_and_meaning(root: Path) -> None:
    app = console(root)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2", "slash")
        app.screen.query_one("#search", Input).value = "gradient norm"
        await pilot.press("enter")
        text = await seen(pilot)
        assert "grad_clip" in text
        assert "newton_schulz_steps" not in text
        await pilot.press("escape")
        text = await seen(pilot)
        assert "grad_clip" in text
        assert "newton_schulz_steps" in text
        await pilot.press("slash", *"zzz", "enter")
        assert "no key and no meaning has these words" in await seen(pilot)
        await pilot.press("down", "enter", "right", "u", "n", "escape")  # no key does harm where no field is
        assert "techniques" in await seen(pilot)


@pytest.mark.slow
async def test_changes_survive_a_look_at_another_preset(root: Path) -> None:
    app = console(root)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2")
        cursor_on(app, "mhc.streams")
        await pilot.press("right", "escape", "up")
        assert "as the preset has it" in await seen(pilot)
        await pilot.press("down")
        assert "1 → 2" in await seen(pilot)
        assert "tiny-cpu ◆" in await seen(pilot)


@pytest.mark.slow
async def test_a_click_changes_a_switch_and_chooses_a_field(root: Path) -> None:
    app = console(root)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2")
        lines = (await seen(pilot)).splitlines()
        row = next(index for index, line in enumerate(lines) if "collider.mode" in line)
        await pilot.click(offset=(lines[row].index("‹ off ›"), row))
        assert "‹ head ›  was off" in await seen(pilot)
        lines = (await seen(pilot)).splitlines()
        row = next(index for index, line in enumerate(lines) if "   d_model" in line)
        place = (lines[row].index("256"), row)
        await pilot.click(offset=place)
        await pilot.click(offset=place)
        assert "d_model = 256" in await seen(pilot)


@pytest.mark.slow
async def test_values_are_visible_at_every_width(root: Path) -> None:
    app = console(root)
    async with app.run_test(size=(118, 24)) as pilot:
        await pilot.press("2")
        for width in (118, 117, 76, 40):
            await pilot.resize_terminal(width, 24)
            assert "model.linear           ‹ ternar" in await seen(pilot), width


@pytest.mark.slow
async def test_thirty_presets_leave_the_form_usable(root: Path, private_home: Path) -> None:
    own = user_folder()
    own.mkdir(parents=True)
    for number in range(30):
        (own / f"own-{number:02}.toml").write_text(f'[about]\ndescription = "{"long words " * 9}"\n')
    app = console(root)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("2", "end")
        text = await seen(pilot)
        assert "▸ own-29 (yours)" in text
        assert sum("(yours)" in line for line in text.splitlines()) >= 9  # a line each, but for the chosen one
        assert "model.linear           ‹ ternary ›" in text
        await pilot.press("up", "tab", "right")
        text = await seen(pilot)
        assert "▸ own-28 (yours)" in text
        assert "‹ float ›  was ternary" in text
        assert text.count("◆") == 2  # in the list and in the form


@pytest.mark.parametrize("size", [(60, 20), (80, 24)])
async def test_a_refusal_can_be_read_to_its_end_and_typing_replaces_the_value(
    size: tuple[int, int], root: Path
) -> None:
    app = console(root)
    async with app.run_test(size=size) as pilot:
        await pilot.press("2")
        assert "▸ tiny-cpu" in await seen(pilot)
        assert "small" in await seen(pilot)
        cursor_on(app, "model.n_layers")
        await pilot.press("enter", "x")
        await seen(pilot)
        shown = app.screen.query_one("#field-help", Static)
        assert shown.region.height >= shown.visual.get_height({}, shown.size.width) > 0
        assert "n_layers               x" in await seen(pilot)


async def test_every_key_of_the_form_moves_or_changes_what_it_says(root: Path) -> None:
    app = console(root)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2", "tab")

        def here() -> str:
            field = app.screen.query_one(Form).field
            return field.key if field else ""

        places = []
        for key in ("home", "down", "up", "pagedown", "pageup", "end"):
            await pilot.press(key)
            places.append(here())
        assert places[:3] == ["model.linear", "mhc.streams", "model.linear"]
        assert places[3] not in places[:3] and places[4] == "model.linear" and places[5] == "about.expects"
        cursor_on_first = ["home", "down"]
        for key, shown in (("space", "‹ 2 ›"), ("enter", "‹ 4 ›"), ("left", "‹ 2 ›"), ("delete", "‹ 1 ›")):
            await pilot.press(*cursor_on_first, key)
            assert f"mhc.streams            {shown}" in await seen(pilot)


async def test_switches_say_what_their_next_value_adds(root: Path) -> None:
    app = console(root)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2")
        await app.workers.wait_for_complete()
        cursor_on(app, "moe.experts")
        text = await seen(pilot)
        assert "→ +7.08M  +270 MiB" in text and "→ 4: +7.08M parameters, +270 MiB of tensors" in text
        await pilot.press("right")
        await app.workers.wait_for_complete()
        assert "→ 8: " in await seen(pilot)  # from the present configuration
        await pilot.press("left", "home")
        cursor_on(app, "collider.mode")
        await pilot.press("right", "right")
        await app.workers.wait_for_complete()
        assert "moe.experts            ○ 0" in await seen(pilot) and "→ refused" in await seen(pilot)
