"""What holds on every screen: leaving, help, palette, themes, pictures, and the table of keys behind them."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from platformdirs import user_data_path
from textual.command import CommandPalette
from textual.widgets import Input, OptionList

from nanoconsole.services.settings import Settings
from nanoconsole.services.settings_schema import SETTINGS
from nanoconsole.tui import app as app_module
from nanoconsole.tui import keys
from nanoconsole.tui.app import ConsoleApp
from nanoconsole.tui.screens.alerts import AlertsScreen
from nanoconsole.tui.screens.chat import ChatScreen, SayInput
from nanoconsole.tui.screens.chat_settings import ChatSettingsScreen
from nanoconsole.tui.screens.checkpoints import CheckpointsScreen, DeleteCheckpoint
from nanoconsole.tui.screens.choose_run import ChooseRun
from nanoconsole.tui.screens.compare import CompareScreen
from nanoconsole.tui.screens.delete import DeleteScreen
from nanoconsole.tui.screens.diff import DiffScreen
from nanoconsole.tui.screens.enqueue import EnqueueScreen
from nanoconsole.tui.screens.export import ExportScreen
from nanoconsole.tui.screens.fire import FireScreen
from nanoconsole.tui.screens.go_to_step import GoToStep
from nanoconsole.tui.screens.help import AllKeysScreen, HelpScreen, Rows
from nanoconsole.tui.screens.jump import JumpScreen
from nanoconsole.tui.screens.launch import LaunchScreen
from nanoconsole.tui.screens.layers import LayersScreen
from nanoconsole.tui.screens.live import LiveScreen
from nanoconsole.tui.screens.log import LogScreen
from nanoconsole.tui.screens.pack import PackScreen
from nanoconsole.tui.screens.pick import PickScreen
from nanoconsole.tui.screens.queue import QueueScreen
from nanoconsole.tui.screens.repair import RepairScreen
from nanoconsole.tui.screens.runs import RunsScreen
from nanoconsole.tui.screens.samples import SamplesScreen
from nanoconsole.tui.screens.save import SaveScreen
from nanoconsole.tui.screens.settings import SettingsScreen
from nanoconsole.tui.screens.stop import StopScreen
from nanoconsole.tui.screens.tags import TagsScreen
from nanoconsole.tui.screens.trash import TrashScreen
from nanoconsole.tui.screens.unpack import UnpackScreen
from nanoconsole.tui.screens.validate import ValidateScreen
from nanoconsole.tui.screens.verify import VerifyScreen
from nanoconsole.tui.theme import STATES, THEMES
from nanoconsole.tui.widgets.form import Form
from nanoconsole.tui.widgets.preset_list import PresetList
from nanoconsole.tui.widgets.source_pane import TomlArea
from nanoconsole.tui.widgets.value_input import ValueInput
from nanocore.runs.status import ALIVE_STATES, FINAL_STATES
from tests.tui.scenes import NOW, at_work, console, lay, look, seen

OWNERS = {
    "runs": RunsScreen,
    "launch": LaunchScreen,
    "live": LiveScreen,
    "compare": CompareScreen,
    "presets": PresetList,
    "form": Form,
    "value": ValueInput,
    "source": TomlArea,
    "pick": PickScreen,
    "diff": DiffScreen,
    "enqueue": EnqueueScreen,
    "queue": QueueScreen,
    "charts": LiveScreen,
    "live charts": LiveScreen,
    "log": LiveScreen,
    "layers": LayersScreen,
    "samples": SamplesScreen,
    "logs": LogScreen,
    "choose run": ChooseRun,
    "go to step": GoToStep,
    "stop": StopScreen,
    "tags": TagsScreen,
    "delete": DeleteScreen,
    "verify": VerifyScreen,
    "repair": RepairScreen,
    "pack": PackScreen,
    "unpack": UnpackScreen,
    "trash": TrashScreen,
    "fire": FireScreen,
    "save preset": SaveScreen,
    "alerts": AlertsScreen,
    "chat": ChatScreen,
    "say": SayInput,
    "chat settings": ChatSettingsScreen,
    "validate": ValidateScreen,
    "checkpoints": CheckpointsScreen,
    "export": ExportScreen,
    "delete checkpoint": DeleteCheckpoint,
    "settings": SettingsScreen,
    "jump": JumpScreen,
    "help": HelpScreen,
    "all keys": AllKeysScreen,
    "app": ConsoleApp,
}


@pytest.mark.parametrize("key", keys.TABLE, ids=lambda key: f"{key.scope}-{key.shown or key.label}")
def test_every_row_of_the_table_names_an_action_that_exists(key: keys.Key) -> None:
    name, _, arguments = key.action.partition("(")
    owner = ConsoleApp if name.startswith("app.") else OWNERS[key.scope]
    action = getattr(owner, f"action_{name.removeprefix('app.')}")
    takes = [p for p in inspect.signature(action).parameters.values() if p.default is p.empty and p.name != "self"]
    assert bool(arguments) == bool(takes)
    assert key.help


def test_no_key_means_two_things_on_one_screen() -> None:
    for scope in OWNERS:
        used = [name for key in keys.of(scope) for name in key.keys.split(",") if name]
        assert len(used) == len(set(used)), scope


def test_every_state_has_a_mark_of_its_own_besides_its_colour() -> None:
    assert {*ALIVE_STATES, *FINAL_STATES, "created", "elsewhere", "unknown", "gone"} <= set(STATES)
    assert len({look.mark for look in STATES.values()}) == len(STATES)


async def test_leaving_says_that_training_goes_on(root: Path) -> None:
    run = lay(root, "busy", state="running", steps=5)
    app = console(root)
    with at_work(run):
        async with app.run_test(size=(120, 24)) as pilot:
            look(app)
            assert "Leave (training goes on)" in await seen(pilot)
            await pilot.press("q")
    assert "busy goes on training (step 5 of 400)" in app.farewell
    assert "nanoconsole stop busy" in app.farewell


async def test_the_farewell_names_the_folder_of_a_run_of_another_root(root: Path, tmp_path: Path) -> None:
    run = lay(tmp_path / "my lab", "busy", state="running", steps=5)
    values = {setting.key: setting.default for setting in SETTINGS} | {"roots": (str(tmp_path / "my lab"),)}
    app = ConsoleApp(root, follow=False, clock=lambda: NOW, settings=Settings(values=values))
    with at_work(run):
        async with app.run_test(size=(120, 24)) as pilot:
            look(app)
            await pilot.press("q")
    assert "my lab/busy goes on training (step 5 of 400)" in app.farewell
    assert f"nanoconsole --runs '{tmp_path}/my lab' stop busy" in app.farewell


async def test_leaving_without_training_says_nothing(root: Path) -> None:
    lay(root, "done", steps=5)
    app = console(root)
    async with app.run_test() as pilot:
        look(app)
        assert "training goes on" not in await seen(pilot)
        await pilot.press("q")
    assert app.farewell == ""


def test_the_farewell_is_printed_after_the_screen_is_gone(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ConsoleApp, "run", lambda app: setattr(app, "farewell", "busy goes on"))
    assert app_module.run_app(root) == 0
    assert capsys.readouterr().out == "busy goes on\n"


async def test_help_lists_every_key_of_the_screen(root: Path) -> None:
    app = console(root)
    async with app.run_test(size=(90, 100)) as pilot:
        for mode in ("1", "2", "3"):
            await pilot.press(mode, "question_mark")
            text = " ".join((await seen(pilot)).split())
            scopes = [app.current_mode, "app", *keys.PARTS.get(app.current_mode, ())]
            missing = [key.help for key in keys.of(*scopes) if key.keys and key.help.split()[-1] not in text]
            assert not missing
            await pilot.press("escape")
            assert app.screen is app.screen_stack[0]


async def test_the_keys_of_all_screens_stand_in_one_list(root: Path) -> None:
    app = console(root)
    async with app.run_test(size=(90, 24)) as pilot:
        await pilot.press("question_mark")
        assert "a All keys" in await seen(pilot)
        await pilot.press("a")
        assert isinstance(app.screen, AllKeysScreen)
        rows = [row._lines(78).plain for row in app.screen.query(Rows)]
        told = "".join("".join(rows).split())
        assert [key.name for key in keys.TABLE if "".join(key.help.split()) not in told] == []
        titles = [row.split("\n", 1)[0] for row in rows]
        assert len(titles) == len(set(titles)) and {"Everywhere", "1 Runs", "9 Log", "Dialog: stop"} <= set(titles)
        await pilot.press("escape", "escape")
        assert app.screen is app.screen_stack[0]


async def test_the_palette_offers_the_actions_of_the_screen(root: Path) -> None:
    lay(root, "done", state="stopped", steps=5)
    app = console(root)
    async with app.run_test(size=(100, 40)) as pilot:
        look(app)
        await seen(pilot)
        titles = [command.title for command in app.get_system_commands(app.screen)]
        assert "Resume (r)" in titles
        assert "Pause (p)" not in titles  # not for a run that ended
        assert len(titles) == len(set(titles))
        await pilot.press("ctrl+p")
        await seen(pilot)
        assert isinstance(app.screen, CommandPalette)
        hits = app.screen.query_one(OptionList)
        while not hits.option_count:  # typed earlier, the word may meet the palette while it still lists everything
            await asyncio.sleep(0.01)
        app.screen.query_one(Input).value = "next theme"
        while not (hits.option_count and "next theme" in str(hits.get_option_at_index(0).prompt).lower()):
            await asyncio.sleep(0.01)
        await pilot.press("down", "enter")
        await seen(pilot)
        assert app.theme == THEMES[1].name


async def test_a_picture_is_saved_with_its_run_else_in_the_data_folder(root: Path) -> None:
    run = lay(root, "done", steps=5)
    app = console(root)
    async with app.run_test(size=(120, 24)) as pilot:
        look(app)
        for mode, folder in (("1", user_data_path("nanoconsole") / "pictures"), ("3", run.exports_dir)):
            await pilot.press(mode, "P")
            text = await seen(pilot)
            picture = next(folder.glob("*.svg"))
            assert picture.read_text(encoding="utf-8").startswith("<svg")
            assert str(picture) in "".join(line.strip() for line in text.splitlines())
    assert not list(Path().glob("*.svg"))


async def test_what_was_done_is_told_in_the_key_bar_and_covers_nothing(root: Path) -> None:
    lay(root, "done", steps=5)
    app = console(root)
    async with app.run_test(size=(100, 24)) as pilot:
        look(app)
        before = (await seen(pilot)).splitlines()
        app.say("a [red]short[/] one")
        text = (await seen(pilot)).splitlines()
        assert text[:-1] == before[:-1]
        assert text[-1].startswith(" ✓ a [red]short[/] one  enter Open ")
        assert text[-1].endswith("? Help  q Leave")
        app.say("a long one, " * 12 + "to its end", "error")
        assert "to its end" in await seen(pilot)
        await pilot.press("3")
        assert "to its end" in await seen(pilot)  # on the screen where one is
        app.say("over")
        assert app._silence is not None
        app._silence._callback()  # its time is up
        assert "over" not in await seen(pilot)


def test_the_first_frame_waits_for_no_heavy_import() -> None:
    code = "import sys, nanoconsole.tui.app; print(*[name for name in %r if name in sys.modules])"
    heavy = ("torch", "tensorboard", "numpy", "pydantic", "tomlkit", "psutil", "pynvml", "plotext")
    found = subprocess.run([sys.executable, "-c", code % (heavy,)], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
