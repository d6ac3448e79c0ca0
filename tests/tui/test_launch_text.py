"""The TOML text beside the form: both ways in step, faults by line, nothing that a terminal would obey."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
from textual.events import Paste
from textual.pilot import Pilot

from nanoconsole.services.source import LIMIT
from nanoconsole.tui.app import ConsoleApp
from nanoconsole.tui.screens.launch import LaunchScreen
from nanoconsole.tui.widgets.form import Form
from nanoconsole.tui.widgets.preset_list import PresetList
from nanoconsole.tui.widgets.source_pane import TomlArea
from nanoconsole.tui.widgets.toml_lines import parts
from nanocore.config import toml
from nanocore.runs.layout import list_runs
from tests.tui.scenes import console, cursor_on, seen

pytestmark = pytest.mark.usefixtures("presets")
SIZE = (160, 40)


async def done(pilot: Pilot[None]) -> str:
    """The screen once the threads have told what they found."""
    for _ in range(2):  # what is typed is read in a thread, and what follows from it in another
        await pilot.pause()
        await pilot.app.workers.wait_for_complete()
    return await seen(pilot)


def value(app: ConsoleApp, key: str) -> str:
    draft = launch(app).draft
    assert draft is not None
    return draft.text(key)


def area(app: ConsoleApp) -> TomlArea:
    return app.screen.query_one(TomlArea)


def launch(app: ConsoleApp) -> LaunchScreen:
    return cast("LaunchScreen", app.screen)


@pytest.mark.slow
async def test_what_the_form_changes_is_put_into_its_line(root: Path) -> None:
    app = console(root)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2", "tab", "t")
        await done(pilot)
        before = area(app).text
        assert before.startswith("# kept comment\n[about]\n")
        cursor_on(app, "model.n_layers")
        await pilot.press("enter", "7", "enter")
        await done(pilot)
        assert area(app).text == before.replace("n_layers = 4", "n_layers = 7")
        assert area(app).cursor_location[0] == before.splitlines().index("n_layers = 4")  # shown where it changed
        await pilot.press("u")
        await done(pilot)
        assert area(app).text == before


async def test_what_is_typed_reaches_the_form_the_cost_and_the_launch(root: Path, started: list[str]) -> None:
    app = console(root)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2", "t")
        await done(pilot)
        assert isinstance(app.focused, TomlArea)
        row = area(app).text.splitlines().index("n_layers = 4")
        area(app).move_cursor((row, 0))
        await pilot.press("end", "backspace", "6", *" # mine")
        text = await done(pilot)
        assert " 6  was 4" in text and "◆ 1 change to the preset" in text
        await pilot.press(*["ctrl+z"] * 3)
        assert "as the preset has it" in await done(pilot)
        await pilot.press(*["ctrl+y"] * 3)
        assert " 6  was 4" in await done(pilot)
        await pilot.press("ctrl+l")
        await app.workers.wait_for_complete()
        assert started == ["tiny-cpu-0001"]
        assert toml.load(list_runs(root)[0].config_file).model.n_layers == 6


@pytest.mark.slow
async def test_what_was_typed_just_before_a_launch_is_launched(root: Path, started: list[str]) -> None:
    app = console(root)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2", "t")
        await done(pilot)
        area(app).text = "[model]\nn_layers = 9\n"
        launch(app).action_launch()  # no thread had time to read it
        await app.workers.wait_for_complete()
        assert toml.load(list_runs(root)[0].config_file).model.n_layers == 9


@pytest.mark.slow
async def test_faults_have_their_line_and_can_be_gone_through(root: Path, started: list[str]) -> None:
    app = console(root)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2", "t")
        await done(pilot)
        area(app).load_text('[model]\nd_modle = 1\nn_layers = "six"\n\n[training]\nstep = 5\nsteps = 1\nseed = -1\n')
        text = await done(pilot)
        assert "✗ line 2: model.d_modle: unknown key" in text and "4 faults, of which the first" in text
        assert "✗ n_layers               six" in text  # the form follows, with the fault at its field
        assert area(app).faulty == {2, 3, 6, 8}
        rows = []
        for _ in range(5):
            await pilot.press("ctrl+n")
            rows.append(area(app).cursor_location[0] + 1)
        assert rows == [3, 6, 8, 2, 3] or rows == [2, 3, 6, 8, 2]
        await pilot.press("ctrl+l")
        await app.workers.wait_for_complete()
        assert started == [] and "it cannot be launched" in await seen(pilot)


@pytest.mark.slow
async def test_a_broken_text_leaves_the_form_as_it_was_and_takes_no_edit_there(root: Path) -> None:
    app = console(root)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2", "t")
        await done(pilot)
        good = area(app).text
        area(app).load_text(good + "x = [")
        text = await done(pilot)
        assert "✗ line 11: is not valid TOML" in text and app.screen.query_one(Form).disabled
        await pilot.press("escape")  # the form takes no focus now
        assert isinstance(app.focused, PresetList) and area(app).region
        await pilot.press("escape", "escape")
        assert app.current_mode == "runs"
        await pilot.press("2", "t")
        await done(pilot)
        await pilot.press("2", "1", "2")  # a number is typed; the screen is left and found again
        area(app).load_text(good.replace("600", "77"))
        await done(pilot)
        assert value(app, "training.steps") == "77" and not app.screen.query_one(Form).disabled
        area(app).load_text("[[[")
        await done(pilot)
        launch(app).action_forget()
        assert "as the preset has it" in await done(pilot) and area(app).text == good


@pytest.mark.slow
async def test_escape_leaves_the_text_for_the_form_beside_it_and_then_hides_it(root: Path) -> None:
    app = console(root)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2", "t")
        await done(pilot)
        await pilot.press("escape")
        assert isinstance(app.focused, Form) and area(app).region
        await pilot.press("escape")
        assert not area(app).region and isinstance(app.focused, Form)
        await pilot.resize_terminal(80, 24)  # there is no room for both
        await pilot.press("t")
        await done(pilot)
        assert area(app).region and not app.screen.query_one(Form).region
        await pilot.press("escape")
        assert not area(app).region and isinstance(app.focused, Form) and app.focused.region


@pytest.mark.slow
async def test_another_preset_shows_its_own_text_and_an_edited_one_what_was_typed(root: Path) -> None:
    app = console(root)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2", "t")
        await done(pilot)
        area(app).load_text("# typed\n[model]\nn_layers = 3\n")
        await done(pilot)
        launch(app).open_target("small")
        await done(pilot)
        assert "d_model = 64" in area(app).text
        launch(app).open_target("tiny-cpu")
        await done(pilot)
        assert area(app).text == "# typed\n[model]\nn_layers = 3\n"


HOSTILE = "# \x1b[2J\x9b31m\u202e\u2028\x00 end\n[model]\nn_layers = 3\n"


@pytest.mark.slow
async def test_a_hostile_text_is_shown_as_what_it_is(root: Path) -> None:
    file = root.parent / "own.toml"
    file.write_text("# \u202e\u200b\u2028\x85 [red]\n[model]\nn_layers = 3\n")
    app = console(root, edit=str(file))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("t")
        text = await done(pilot)
        assert "# ���� [red]" in text
        area(app).clear()
        await area(app)._on_paste(Paste(HOSTILE))
        text = await done(pilot)
        assert "# ␛[2J�31m��␀ end" in text and "n_layers               3" in text
        assert not any(bad in text for bad in "\x1b\x9b\u202e\x00")


@pytest.mark.slow
async def test_a_huge_text_is_a_fault_and_the_editor_goes_on(root: Path) -> None:
    app = console(root)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("2", "t")
        await done(pilot)
        for text in ("x = " + "[" * 3000, "x" * 100_000, "[a]\n" * 20_000):
            area(app).load_text(text)
            assert "✗ line" in await done(pilot)
        area(app).load_text("[model]\nn_layers = 3\n")
        assert "✗" not in await done(pilot)
        await area(app)._on_paste(Paste("x" * (LIMIT + 1)))
        assert "not pasted" in await done(pilot) and len(area(app).text) < 100


@pytest.mark.slow
async def test_a_text_that_cannot_be_edited_in_place_says_so(root: Path) -> None:
    file = root.parent / "own.toml"
    file.write_text("training.steps = 600\ntraining.seed = 4\n[model]\nn_layers = 3\n")
    app = console(root, edit=str(file))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("t")
        await done(pilot)
        cursor_on(app, "training.steps")
        await pilot.press("enter", *"5", "enter")
        text = await done(pilot)
        assert "steps                  5  was 600" in text
        assert "cannot be edited in place" in text or "training.steps = 5" in area(app).text


def test_the_parts_of_a_line() -> None:
    def told(line: str) -> list[tuple[str, str]]:
        return [(line[begin:end], name) for begin, end, name in parts(line)]

    assert told("[model]  # a section") == [("[model]", "section"), ("# a section", "comment")]
    assert told('a-b."c d" = "x # y" # z') == [('a-b."c d"', "key"), ('"x # y"', "string"), ("# z", "comment")]
    assert told("n = 1_000.5e-3") == [("n", "key"), ("1_000.5e-3", "number")]
    assert told("n = [true, -2, 'a']") == [("n", "key"), ("true", "bool"), ("-2", "number"), ("'a'", "string")]
    assert told("d_model2 = 3x") == [("d_model2", "key")]
    assert told('s = "open') == [("s", "key"), ('"open', "string")]
