"""Chat, Validate and their dialogs, and the checkpoints, as plain text at four sizes and as pictures."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from nanoconsole.services.models import Model
from nanoconsole.tui.app import ConsoleApp
from nanoconsole.tui.screens.chat import ChatScreen
from nanoconsole.tui.screens.validate import ValidateScreen
from nanocore.runs.layout import RunFolder
from tests.tui.checkpoint_scenes import damage, save
from tests.tui.scenes import console, lay, look
from tests.tui.test_golden import SLOW, check
from tests.tui.test_snapshots import SIZE, Compare
from tests.tui.test_validate_screen import FAILED, PASSED, told
from tests.tui.worker_scenes import FakeWorker, ready, reply, settled

WRITTEN = (
    '    """Add two numbers, which may be of any kind."""\n    return a + b\n\n\ndef sub(a, b):\n    return a - b\n'
)


@pytest.fixture
def run(root: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    monkeypatch.setattr("nanoconsole.services.workers.Worker", FakeWorker)
    monkeypatch.setattr(FakeWorker, "made", [])
    other = lay(root, "a-run-with-a-rather-long-name-0001", age=7200)
    save(other, 100)
    found = lay(root, "tiny-cpu-0003", age=60)
    save(found, 120, 160, 200, 240)
    damage(found, 160)
    return found


async def talk(app: ConsoleApp, pilot: Pilot[None]) -> None:
    """The same said to two models, and answered."""
    await settled(pilot, "7")
    screen = app.screen
    assert isinstance(screen, ChatScreen)
    screen.chat.set_model(1, Model(app.root / "a-run-with-a-rather-long-name-0001", 100))
    await settled(pilot, "i", *"def", "space", *"add(a,", "space", *"b):", "enter")
    FakeWorker.made[0].answer(ready(), reply(WRITTEN, 41, 0.9))
    await settled(pilot)
    FakeWorker.made[1].answer(ready("step-00000100"), reply("  retrun retrun the the", 12, 0.3, "eos"))
    await settled(pilot)


async def validate(app: ConsoleApp, pilot: Pilot[None]) -> None:
    """Checks of every kind of end, one of them expanded by hand."""
    await settled(pilot, "8")
    screen = app.screen
    assert isinstance(screen, ValidateScreen)
    now = screen._now.begun()
    for answer in (
        told("environment", "passed", **PASSED),
        told("kernels", "failed", **FAILED),
        told("generation", "running"),
    ):
        now = now.told(answer)
    screen._tell(now)
    await settled(pilot, "enter")


@pytest.mark.parametrize("size", SLOW, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_screens_and_dialogs_look_as_they_did(size: tuple[int, int], run: RunFolder) -> None:
    app, shape = console(run.path.parent), f"{size[0]}x{size[1]}"
    async with app.run_test(size=size) as pilot:
        look(app)
        await pilot.pause()
        check(f"checkpoints-{shape}", await settled(pilot, "K", "down"))
        check(f"export-{shape}", await settled(pilot, "up", "e"))
        await settled(pilot, "escape")
        app.watch_run(run)
        await talk(app, pilot)
        check(f"chat-{shape}", await settled(pilot))
        check(f"chat-settings-{shape}", await settled(pilot, "escape", "t"))
        check(f"chat-models-{shape}", await settled(pilot, "escape", "m"))
        await settled(pilot, "escape")
        await validate(app, pilot)
        check(f"validate-{shape}", await settled(pilot))


def test_chat(run: RunFolder, snap_compare: Compare) -> None:
    app = console(run.path.parent)

    async def go(pilot: Pilot[None]) -> None:
        look(app)
        await pilot.pause()
        app.watch_run(run)
        await talk(app, pilot)
        await settled(pilot, "escape")

    assert snap_compare(app, terminal_size=SIZE, run_before=go)


def test_validate(run: RunFolder, snap_compare: Compare) -> None:
    app = console(run.path.parent)

    async def go(pilot: Pilot[None]) -> None:
        await validate(app, pilot)

    assert snap_compare(app, terminal_size=SIZE, run_before=go)


def test_checkpoints(run: RunFolder, snap_compare: Compare) -> None:
    app = console(run.path.parent)

    async def go(pilot: Pilot[None]) -> None:
        look(app)
        await settled(pilot, "K", "down")

    assert snap_compare(app, terminal_size=SIZE, run_before=go)
