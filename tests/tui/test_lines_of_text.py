"""Lines of text: the name of a run, a value, the save dialog. Which keys are offered there, and how faults are told."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Static

from nanoconsole.services.draft_faults import FIELDS
from nanoconsole.tui.preset_costs import PresetCosts
from nanoconsole.tui.widgets.field_editor import FieldEditor
from nanocore.config import toml
from nanocore.config.presets import find, user_folder
from tests.tui.scenes import at_work, console, cursor_on, lay, look, seen

pytestmark = pytest.mark.usefixtures("presets")
SMALL = (80, 24)


async def key_bar(pilot: Pilot[None]) -> str:
    return (await seen(pilot)).splitlines()[-1].strip()


async def test_a_line_of_text_offers_only_keys_that_are_not_typed(root: Path) -> None:
    app = console(root)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.press("2")
        assert "/ Search" in await key_bar(pilot)
        await pilot.press("tab", "tab")  # past the form
        assert await key_bar(pilot) == "enter Done  esc Cancel  ^l Launch  ^s Save  tab Next pane"
        cursor_on(app, "training.steps")
        await pilot.press("enter")
        assert await key_bar(pilot) == "enter Done  esc Cancel  ^l Launch  ^s Save  tab Next pane"


async def test_a_name_that_will_be_refused_is_marked_while_it_is_typed(root: Path) -> None:
    lay(root, "old", steps=5)
    app = console(root)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.press("2", "tab", "tab", *"old")
        line = app.screen.query_one("#run-name", Input)
        assert "a run of this name exists" in await seen(pilot) and line.has_class("-bad")
        await pilot.press("1")
        assert "✗" not in await seen(pilot) and not line.has_class("-bad")
        await pilot.press("?")
        assert "✗ the run's name: use 1 to 64 of a-z" in await seen(pilot)
        await pilot.press("enter")
        assert app.focused is line
        await pilot.press("backspace", "enter")
        assert app.focused is not line


@pytest.mark.slow
async def test_a_refused_value_is_typed_anew(root: Path) -> None:
    app = console(root)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.press("2")
        cursor_on(app, "training.steps")
        await pilot.press("enter", *"abc", "enter", *"30")
        assert " 30  was 600" in await seen(pilot)
        await pilot.press("enter")
        assert not app.screen.query_one(FieldEditor).editing
        await pilot.press("enter", "x", "tab")  # another pane: the value stays as typed
        assert "✗ steps                  x" in await seen(pilot)
        assert not app.screen.query_one(FieldEditor).editing


@pytest.mark.slow
async def test_the_save_dialog_names_its_lines_and_its_keys(root: Path) -> None:
    app = console(root)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.press("2")
        cursor_on(app, "training.steps")
        await pilot.press("enter", *"60", "enter", "ctrl+s")
        text = await seen(pilot)
        assert "name, or the path of a .toml file  enter: next line" in text and "description  enter: save" in text
        assert "tiny-cpu with training.steps = 60" in text
        assert await key_bar(pilot) == "enter Next line  tab Other line  esc Cancel"
        await pilot.press("?", "enter")
        assert "✗ use 1 to 64 of a-z" in await seen(pilot)
        await pilot.press("backspace", "enter")
        assert (await key_bar(pilot)).startswith("enter Save")
        await pilot.press("enter")
        await seen(pilot)
        assert find("my-tiny-cpu").description == "tiny-cpu with training.steps = 60"


@pytest.mark.slow
@pytest.mark.parametrize("size", [SMALL, (120, 34)])
async def test_the_help_of_every_field_can_be_read_to_its_end(size: tuple[int, int], root: Path) -> None:
    app = console(root)
    async with app.run_test(size=size) as pilot:
        await pilot.press("2")
        await seen(pilot)
        help_line = app.screen.query_one("#field-help", Static)
        width = help_line.content_size.width
        longest = max(FIELDS.values(), key=lambda field: len(field.help) + len(str(field.choices)))
        for field in (FIELDS["model.linear"], FIELDS["training.duration"], longest):
            app.screen.query_one(FieldEditor).show(None, field)
            await seen(pilot)
            assert help_line.region.height >= help_line.visual.get_height({}, width), field.key


async def test_a_message_leaves_the_key_that_matters(root: Path) -> None:
    run = lay(root, "tiny-cpu-0001", state="paused", steps=5)
    app = console(root)
    with at_work(run):
        async with app.run_test(size=SMALL) as pilot:
            look(app)
            await pilot.press("enter")
            look(app)
            assert "p Go on" in await key_bar(pilot)
            for words in ("tiny-cpu-0001 saves a checkpoint after this step", "a long one, " * 12 + "to its end"):
                app.say(words)
                assert words[-8:] in await seen(pilot)
                assert "p Go on" in await key_bar(pilot)
                assert (await key_bar(pilot)).endswith("? Help  q Leave")


@pytest.mark.slow
async def test_of_many_presets_only_the_chosen_one_is_read(
    root: Path, private_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = user_folder()
    own.mkdir(parents=True)
    for number in range(9):
        (own / f"own-{number}.toml").write_text("[training]\nsteps = 5\n")
    opened: list[str] = []
    read = toml.load
    monkeypatch.setattr(toml, "load", lambda path: opened.append(path.stem) or read(path))
    app = console(root)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.press("2", "down")
        await app.workers.wait_for_complete()
        assert "▸ own-0 (yours)" in await seen(pilot)
        drafts = vars(app.screen)["drafts"]
        assert [*drafts] == ["tiny-cpu", "own-0"] and opened == []


def test_a_preset_is_read_again_only_when_its_file_changed(
    private_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text("[training]\nsteps = 5\n")
    bad.write_text("[model]\nd_modle = 3\n")
    opened: list[str] = []
    read = toml.load
    monkeypatch.setattr(toml, "load", lambda path: opened.append(path.stem) or read(path))
    costs = PresetCosts()
    for _ in range(3):
        assert [*costs.find([str(good), str(bad)], [])] == [str(good)]
    assert opened == ["good", "bad"]
    bad.write_text("[model]\nd_model = 64\n")
    assert len(costs.find([str(good), str(bad)], [])) == 2
    assert opened == ["good", "bad", "bad"]
