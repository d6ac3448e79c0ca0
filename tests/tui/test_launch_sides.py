"""Other configurations beside the draft: runs and files opened to be edited, and compared with."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from nanoconsole.tui.app import ConsoleApp
from nanoconsole.tui.editing import edit
from nanoconsole.tui.screens.diff import DiffScreen
from nanoconsole.tui.screens.launch import LaunchScreen
from nanoconsole.tui.screens.pick import PickScreen
from nanoconsole.tui.widgets.form import Form
from nanocore.config import toml
from nanocore.config.resolve import resolve
from nanocore.runs.facts import read_facts
from nanocore.runs.layout import RunFolder, list_runs
from tests.tui.checkpoint_scenes import damage, save
from tests.tui.scenes import console, cursor_on, lay, look, seen

pytestmark = pytest.mark.usefixtures("presets")
SIZE = (120, 34)


async def done(pilot: Pilot[None]) -> str:
    await pilot.pause()
    await pilot.app.workers.wait_for_complete()
    return await seen(pilot)


def earlier(root: Path, name: str = "earlier", *sets: str) -> RunFolder:
    """An ended run with a configuration of its own."""
    run = lay(root, name, state="stopped", steps=10)
    toml.save(resolve("tiny-cpu", ["model.n_layers=2", *sets]), run.config_file)
    return run


def launch(app: ConsoleApp) -> LaunchScreen:
    return cast("LaunchScreen", app.screen)


@pytest.mark.slow
async def test_an_earlier_run_is_opened_tweaked_and_launched_anew(root: Path, started: list[str]) -> None:
    run = earlier(root)
    saved = run.config_file.read_text()
    app = console(root)
    async with app.run_test(size=SIZE) as pilot:
        look(app)
        await pilot.press("2", "o")
        await pilot.press(*"earl")
        assert "earlier  run  stopped, of tiny-cpu" in await done(pilot)
        await pilot.press("enter")
        assert "as the run has it" in await done(pilot)
        cursor_on(app, "training.seed")
        assert "Another value needs a new run." in await seen(pilot)
        await pilot.press("enter", *"99", "enter", "ctrl+l")
        await done(pilot)
        assert started == ["tiny-cpu-0001"]
        made = toml.load(list_runs(root)[-1].config_file)
        assert (made.training.seed, made.model.n_layers) == (99, 2)
        assert run.config_file.read_text() == saved


@pytest.mark.slow
async def test_a_run_goes_on_with_what_a_resume_may_change_and_nothing_else(root: Path, started: list[str]) -> None:
    run = earlier(root)
    app = console(root)
    async with app.run_test(size=SIZE) as pilot:
        look(app)
        await pilot.press("2")
        assert "r Resume" not in await seen(pilot)  # of a preset there is none
        launch(app).open_target(str(run.config_file))
        await done(pilot)
        cursor_on(app, "training.seed")
        await pilot.press("enter", *"99", "enter", "r")
        assert "cannot change when a run is resumed: training.seed" in await done(pilot) and started == []
        await pilot.press("u", "home")
        cursor_on(app, "training.steps")
        assert "A resume may change it (r)." in await seen(pilot)
        await pilot.press("enter", *"900", "enter", "r")
        await done(pilot)
        assert started == ["earlier"]
        assert toml.load(run.next_config_file).training.steps == 900


@pytest.mark.slow
async def test_a_runs_configuration_is_saved_as_a_preset_never_in_place(root: Path) -> None:
    run = earlier(root)
    app = console(root, edit=str(run.config_file))
    async with app.run_test(size=SIZE) as pilot:
        await done(pilot)
        await pilot.press("ctrl+s")
        line = app.screen.query_one("#preset-name", Input)
        assert line.value == "my-earlier"
        line.value = "copy.toml"
        await seen(pilot)
        assert app.screen.query_one("#preset-about", Input).disabled
        await pilot.press("enter")
        await done(pilot)
        assert toml.load(Path("copy.toml")).model.n_layers == 2
        await pilot.press("ctrl+s")  # what is edited now is the file
        assert "saved copy.toml" in await done(pilot)
        app.screen.query_one(Form).focus()
        launch(app).action_save_as()
        await seen(pilot)
        app.screen.query_one("#preset-name", Input).value = "copy.toml"
        assert "this file exists" in await seen(pilot)


async def test_a_fork_from_a_checkpoint_is_edited_before_it_begins(root: Path, started: list[str]) -> None:
    run = earlier(root)
    save(run, 10)
    app = console(root)
    async with app.run_test(size=SIZE) as pilot:
        edit(app, str(run.config_file), "earlier@10")
        assert "name of the run, which begins with earlier@10" in await done(pilot)
        launch(app).draft.set("model.n_layers", "3")  # type: ignore[union-attr]
        await pilot.press("ctrl+l")
        assert "the checkpoint has another model: model.n_layers 2 -> 3" in await done(pilot)
        launch(app).draft.set("model.n_layers", "2")  # type: ignore[union-attr]
        launch(app).draft.set("optimizer.state", "int8")  # type: ignore[union-attr]
        await pilot.press("ctrl+l")
        assert "optimizer state of another form: optimizer.state float32 -> int8" in await done(pilot)
        launch(app).draft.set("optimizer.state", "float32")  # type: ignore[union-attr]
        await pilot.press("ctrl+l")
        await done(pilot)
        parent = read_facts(list_runs(root)[-1]).parent
        assert started == ["tiny-cpu-0001"] and parent is not None and (parent.run, parent.step) == ("earlier", 10)
        damage(run, 10)  # before another fork of it
        edit(app, str(run.config_file), "earlier@10")
        await done(pilot)
        await pilot.press("ctrl+l")
        assert "its checkpoint of step 10 is damaged" in await done(pilot)
        assert len(started) == 1 and len(list_runs(root)) == 2


@pytest.mark.slow
async def test_a_fork_of_a_run_of_another_root_is_made_beside_it(
    root: Path, tmp_path: Path, started: list[str]
) -> None:
    lab = tmp_path / "lab"
    run = earlier(lab)
    earlier(root, "tiny-cpu-0001")
    save(run, 10)
    app = console(root)
    async with app.run_test(size=SIZE) as pilot:
        edit(app, str(run.config_file), "earlier@10")
        assert "begins with earlier@10, in lab" in await done(pilot)
        await pilot.press("w")
        assert "which has a queue of its own; launch it (^l)" in " ".join((await done(pilot)).split())
        await pilot.press("ctrl+l")
        await done(pilot)
        made = next(run for run in list_runs(lab) if run.name == "tiny-cpu-0001")
        parent = read_facts(made).parent
        assert started == ["tiny-cpu-0001"] and app.opened == made
        assert parent is not None and parent.run == "earlier"
        await pilot.press("2")
        assert "name of the run (given" in await done(pilot)  # the next launch begins with nothing
        assert [run.name for run in list_runs(root)] == ["tiny-cpu-0001"]


@pytest.mark.slow
async def test_a_fork_waits_in_the_queue_as_a_fork(
    root: Path, started: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = earlier(root)
    monkeypatch.setattr("nanocore.runs.queue.wake", lambda root: False)
    save(run, 10)
    app = console(root)
    async with app.run_test(size=SIZE) as pilot:
        edit(app, str(run.config_file), "earlier@10")
        await done(pilot)
        await pilot.press("w")
        await done(pilot)
        await pilot.press("ctrl+l")
        assert "tiny-cpu-0001 waits in the queue" in await done(pilot)
        parent = read_facts(next(run for run in list_runs(root) if run.name == "tiny-cpu-0001")).parent
        assert parent is not None and (parent.run, parent.step) == ("earlier", 10)


@pytest.mark.slow
async def test_differences_to_the_preset_and_to_any_run_are_listed_and_taken_back(root: Path) -> None:
    earlier(root, "earlier", "training.seed=5")
    app = console(root)
    async with app.run_test(size=SIZE) as pilot:
        look(app)
        await pilot.press("2")
        cursor_on(app, "mhc.streams")
        await pilot.press("right", "d")
        text = await done(pilot)
        assert "1 difference to the preset" in text and "+44 parameters, +92.0 MiB" in text
        await pilot.press("c", *"earlier", "enter")
        text = await done(pilot)
        assert "3 differences to earlier" in text and "training.seed" in text and "5 → 1337" in text
        await pilot.press("down", "down", "u")
        assert "2 differences to earlier" in await done(pilot)
        await pilot.press("home", "enter")
        field = app.screen.query_one(Form).field
        assert field is not None and field.key == "model.n_layers"
        assert "2 changes to earlier" in await done(pilot)  # the panel keeps to it
        await pilot.press("d", "c", "enter")  # the first is what was opened
        assert "differences to the preset" in await done(pilot) and isinstance(app.screen, DiffScreen)
        await pilot.press("u", "u", "u", "d")
        assert "as the preset has it" in await done(pilot)


@pytest.mark.slow
async def test_what_cannot_be_opened_or_compared_with_is_one_line(root: Path) -> None:
    run = earlier(root)
    run.config_file.write_text("[[[")
    app = console(root)
    async with app.run_test(size=SIZE) as pilot:
        look(app)
        await pilot.press("2", "o", *"earlier", "enter")
        assert "config.toml:1: is not valid TOML" in await done(pilot)
        await pilot.press("d", "c", *"earlier", "enter")
        assert "config.toml:1: is not valid TOML" in await done(pilot)
        await pilot.press("o", *"./none.toml")
        assert "./none.toml  file" in await done(pilot)
        await pilot.press("enter")
        assert "none.toml: cannot be read" in await done(pilot)
        await pilot.press("o", *"zzz")
        assert "nothing has these words" in await done(pilot)
        await pilot.press("down", "up", "enter")
        assert isinstance(app.screen, PickScreen)
        await pilot.press("escape")
        assert isinstance(app.screen, LaunchScreen)
