"""The configuration editor: presets, form, faults, costs, saving and launching."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input

from nanoconsole.tui.app import ConsoleApp
from nanoconsole.tui.screens.launch import LaunchScreen
from nanoconsole.tui.widgets.form import Form
from nanoconsole.tui.widgets.preset_list import PresetList
from nanocore.config import toml
from nanocore.config.presets import find
from nanocore.runs.layout import list_runs
from nanocore.runs.status import read_status
from tests.run_helpers import wait_for
from tests.tui.scenes import console, lay, look, seen

pytestmark = pytest.mark.usefixtures("presets")
SIZE = (120, 36)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the runs a trainer would have been started for."""
    names: list[str] = []
    monkeypatch.setattr("nanocore.runs.spawn.spawn_trainer", lambda run, **options: names.append(run.name) or 1)
    return names


def cursor_on(app: ConsoleApp, key: str) -> None:
    """Put the form's cursor on a field."""
    form = app.screen.query_one(Form)
    form.focus()
    while form.field is None or form.field.key != key:
        before = form.field
        form.action_move(1)
        assert form.field != before, f"{key} is not in the form"


async def test_two_keys_from_an_empty_home_start_a_run(root: Path, started: list[str]) -> None:
    app = console(root)
    async with app.run_test() as pilot:
        await pilot.press("l", "enter")
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert started == ["tiny-cpu-0001"]
        assert app.current_mode == "live"
        assert app.opened is not None
        assert toml.load(app.opened.config_file) == toml.load(find("tiny-cpu").path)


async def test_a_launched_run_really_trains_and_its_charts_move(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nanocore.runs.spawn as spawn

    real = spawn.spawn_trainer
    monkeypatch.setattr(
        spawn, "spawn_trainer", lambda run, **options: real(run, module="tests.fake_trainer", **options)
    )
    monkeypatch.setenv("FAKE_STEPS", "30")
    app = console(root)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("l", "enter")
        await app.workers.wait_for_complete()
        await pilot.pause()
        run = app.opened
        assert run is not None
        wait_for(lambda: (status := read_status(run)) and status.state == "finished", "the end of the run")
        look(app)
        assert "✓ finished" in await seen(pilot)
        assert "30/30" in await seen(pilot)


async def test_a_switch_changes_draft_cost_and_difference(root: Path, started: list[str]) -> None:
    app = console(root)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2")
        before = await seen(pilot)
        assert "as the preset has it" in before
        cursor_on(app, "mhc.streams")
        await pilot.press("right")
        after = await seen(pilot)
        assert "‹ 2 ›  was 1" in after
        assert "◆ 1 change to the preset" in after
        assert "1 → 2" in after
        assert after.splitlines()[4] != before.splitlines()[4]  # memory
        await pilot.press("u")
        assert (await seen(pilot)).splitlines()[1:12] == before.splitlines()[1:12]
        await pilot.press("right", "ctrl+l")
        await app.workers.wait_for_complete()
        assert started == ["tiny-cpu-0001"]
        assert toml.load(list_runs(root)[0].config_file).mhc.streams == 2


async def test_a_refused_value_is_told_at_its_field_and_not_launched(root: Path, started: list[str]) -> None:
    app = console(root)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2")
        cursor_on(app, "model.n_layers")
        await pilot.press("enter", "backspace", "x")
        text = await seen(pilot)
        assert "✗ n_layers                 x" in text
        assert "must be a whole number from 1 to 256" in text
        assert "✗ 1 fault" in text
        await pilot.press("enter", "ctrl+l", "ctrl+s")
        await app.workers.wait_for_complete()
        assert started == []
        assert list_runs(root) == []
        await pilot.press("enter", "backspace", "3", "enter")
        assert "✗" not in await seen(pilot)
        assert "n_layers                 3  was 4" in await seen(pilot)


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


async def test_escape_gives_an_edited_value_back(root: Path) -> None:
    app = console(root)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2")
        cursor_on(app, "training.steps")
        await pilot.press("enter", "9")
        assert "6009  was 600" in await seen(pilot)
        await pilot.press("escape")
        assert "as the preset has it" in await seen(pilot)
        assert isinstance(app.focused, Form)


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


async def test_a_preset_is_saved_with_its_comments(root: Path) -> None:
    app = console(root)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2")
        cursor_on(app, "mhc.streams")
        await pilot.press("right", "ctrl+s")
        app.screen.query_one("#preset-name", Input).value = "mine"
        await pilot.press("enter")
        app.screen.query_one("#preset-about", Input).value = "what I like"
        await pilot.press("enter")
        await pilot.pause()
        saved = find("mine")
        assert "# kept comment" in saved.path.read_text()
        assert toml.load(saved.path).mhc.streams == 2
        assert saved.description == "what I like"
        assert app.screen.query_one(PresetList).chosen is not None
        assert "mine (yours)" in await seen(pilot)
        assert "as the preset has it" in await seen(pilot)
        await pilot.press("ctrl+s")
        assert app.screen.query_one("#preset-name", Input).value == "mine"  # one's own is saved under its name


async def test_a_name_is_used_and_a_bad_one_refused(root: Path, started: list[str]) -> None:
    app = console(root)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2")
        line = app.screen.query_one("#run-name", Input)
        for name, outcome in (("../up", []), ("probe", ["probe"])):
            line.value = name
            await pilot.press("ctrl+l")
            await app.workers.wait_for_complete()
            assert started == outcome
        assert not (root.parent / "up").exists()
        assert line.value == ""


async def test_a_file_is_edited_in_place(root: Path) -> None:
    file = root.parent / "own.toml"
    file.write_text("# mine\n[training]\nsteps = 77 # lucky\n")
    app = console(root, edit=str(file))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        assert isinstance(app.screen, LaunchScreen)
        assert "the file" in await seen(pilot)
        cursor_on(app, "training.steps")
        await pilot.press("enter", "backspace", "8", "enter", "ctrl+s")
        assert file.read_text() == "# mine\n[training]\nsteps = 78 # lucky\n"
        assert "as the file has it" in await seen(pilot)


async def test_a_file_with_faults_is_opened_and_shows_them(root: Path) -> None:
    file = root.parent / "own.toml"
    file.write_text('[model]\nd_modle = 3\nn_layers = "six"\n')
    app = console(root, edit=str(file))
    async with app.run_test(size=SIZE) as pilot:
        text = await seen(pilot)
        assert "✗ 2 faults" in text
        assert "model.d_modle: unknown key; did you" in text
        assert "✗ n_layers                 six" in text


async def test_a_click_changes_a_switch_and_chooses_a_field(root: Path) -> None:
    app = console(root)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2")
        lines = (await seen(pilot)).splitlines()
        row = next(index for index, line in enumerate(lines) if "tie_embeddings" in line)
        await pilot.click(offset=(lines[row].index("● on"), row))
        assert "○ off  was on" in await seen(pilot)
        row = next(index for index, line in enumerate(lines) if "   d_model" in line)
        place = (lines[row].index("256"), row)
        await pilot.click(offset=place)
        await pilot.click(offset=place)
        assert "d_model = 256" in await seen(pilot)


async def test_time_is_that_of_the_nearest_finished_run_or_unknown(root: Path) -> None:
    app = console(root)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2")
        await app.workers.wait_for_complete()
        assert "time         unknown" in await seen(pilot)
        run = lay(root, "done", steps=240, total=240, tokens=240 * 4096)
        run.config_file.write_text(find("tiny-cpu").path.read_text())
        await pilot.press("1", "2")
        await app.workers.wait_for_complete()
        await pilot.pause()
        # 240 steps took 60 s; the preset trains 600 steps of the same size
        assert "time         ≈ 2m 30s" in await seen(pilot)
        assert "by done" in await seen(pilot)


def test_the_editor_refuses_what_it_cannot_open(root: Path) -> None:
    from nanoconsole.tui.app import run_config_editor
    from nanocore.errors import ConfigError, UsageError

    broken = root / "broken.toml"
    broken.write_text("[model\n")
    with pytest.raises(ConfigError, match=r"broken.toml:1"):
        run_config_editor(str(broken), root)
    with pytest.raises(UsageError, match="did you mean tiny-cpu"):
        run_config_editor("tiny-cpo", root)
    assert broken.read_text() == "[model\n"


@pytest.mark.parametrize("width", [40, 60, 76, 100, 117, 118, 140])
async def test_values_are_visible_at_every_width(width: int, root: Path) -> None:
    app = console(root)
    async with app.run_test(size=(width, 24)) as pilot:
        await pilot.press("2")
        assert "model.linear             ‹ ternar" in await seen(pilot)
