"""What the configuration editor does: starts runs, saves presets and files."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input

from nanoconsole.tui.screens.launch import LaunchScreen
from nanoconsole.tui.widgets.preset_list import PresetList
from nanocore.config import toml
from nanocore.config.presets import find
from nanocore.runs.status import read_status
from tests.run_helpers import wait_for
from tests.tui.scenes import console, cursor_on, lay, look, seen

pytestmark = pytest.mark.usefixtures("presets")
SIZE = (120, 36)


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
        await pilot.press("enter", "7", "8", "enter", "ctrl+s")
        assert file.read_text() == "# mine\n[training]\nsteps = 78 # lucky\n"
        assert "as the file has it" in await seen(pilot)


async def test_a_file_with_faults_is_opened_and_shows_them(root: Path) -> None:
    file = root.parent / "own.toml"
    file.write_text('[model]\nd_modle = 3\nn_layers = "six"\n')
    app = console(root, edit=str(file))
    async with app.run_test(size=SIZE) as pilot:
        text = await seen(pilot)
        assert "✗ 2 faults" in text
        assert "model.d_modle: unknown key;" in text
        assert "✗ n_layers               six" in text


async def test_time_is_that_of_the_nearest_finished_run_or_unknown(root: Path) -> None:
    app = console(root)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2")
        await app.workers.wait_for_complete()
        assert "time        unknown" in await seen(pilot)
        run = lay(root, "done", steps=240, total=240, tokens=240 * 4096)
        run.config_file.write_text(find("tiny-cpu").path.read_text())
        await pilot.press("1", "2")
        await app.workers.wait_for_complete()
        await pilot.pause()
        # 240 steps took 60 s; the preset trains 600 steps of the same size
        assert "time        ≈ 2m 30s" in await seen(pilot)
        assert "as run done" in " ".join((await seen(pilot)).split())


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
