"""The list of checkpoints: what it tells, and every action on one."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from nanoconsole.tui.app import ConsoleApp
from nanoconsole.tui.screens.launch import LaunchScreen
from nanoconsole.tui.settled_app import SAID_FOR
from nanocore.checkpoint.manifest import available
from nanocore.runs.layout import RunFolder
from nanocore.runs.records import RecordWriter
from tests.tui.checkpoint_scenes import damage, save
from tests.tui.scenes import at_work, console, lay, look
from tests.tui.worker_scenes import FakeWorker, appeared, settled


@pytest.fixture
def run(root: Path) -> RunFolder:
    found = lay(root, "r", state="stopped")
    save(found, 40, 80, 120)
    writer = RecordWriter(found.metrics_file)
    writer.write({"step": 120, "attempt": 1, "eval/ce": 9.0})
    writer.close()
    damage(found, 80)
    return found


@asynccontextmanager
async def listing(run: RunFolder, size: tuple[int, int] = (100, 30)) -> AsyncIterator[tuple[ConsoleApp, Pilot[None]]]:
    app = console(run.path.parent)
    async with app.run_test(size=size) as pilot:
        look(app)
        await settled(pilot, "K")
        yield app, pilot


async def test_it_tells_age_size_damage_loss_best_and_newest(run: RunFolder) -> None:
    async with listing(run) as (_, pilot):
        lines = (await settled(pilot)).splitlines()
        newest, damaged, best = (
            next(line for line in lines if f" {step}  " in line and "1h ago" in line) for step in (120, 80, 40)
        )
        assert "✓ verified" in newest and "9.000 " in newest and "newest" in newest and "97." in newest
        assert "✗ damaged" in damaged and "best" not in newest and "★ best" in best
        assert "was altered (SHA-256 differs)" in await settled(pilot, "down")
        assert "Chat" not in (await settled(pilot)).splitlines()[-1]  # nothing can be done with a damaged one
        assert "Checkpoints of" not in await settled(pilot, "escape")


async def test_chat_and_fork_take_the_checkpoint_along(run: RunFolder, presets: None) -> None:
    async with listing(run) as (app, pilot):
        assert "A r@40" in await appeared(pilot, "A r@40", "down", "down", "enter")
        assert app.current_mode == "chat"
        await settled(pilot, "1", "K", "down", "down", "f")
        await settled(pilot)
        assert isinstance(app.screen, LaunchScreen) and app.screen.origin == "r@40"


@pytest.mark.parametrize("number", ["1", "3"])
async def test_runs_and_live_lead_to_the_list_and_to_chat(number: str, run: RunFolder) -> None:
    app = console(run.path.parent)
    async with app.run_test(size=(100, 30)) as pilot:
        look(app)
        await settled(pilot, number)
        assert "Checkpoints of r" in await settled(pilot, "K")
        assert "A r@latest" in await appeared(pilot, "A r@latest", "escape", "c")


async def test_resume_is_offered_for_the_newest_of_an_ended_run(run: RunFolder, started: list[str]) -> None:
    async with listing(run) as (_, pilot):
        assert "r Resume" not in (await settled(pilot, "down", "down", "r")).splitlines()[-1]
        assert started == []
        assert "r Resume" in (await settled(pilot, "up", "up")).splitlines()[-1]
        await settled(pilot, "r")
        assert started == ["r"]


async def test_export_writes_in_a_worker(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    class Answering(FakeWorker):
        def __init__(self, request: dict[str, Any]) -> None:
            super().__init__(request)
            self._answers.put({"kind": "done", "path": "runs/r/exports/r.gguf"})
            self._answers.put(None)

    monkeypatch.setattr("nanoconsole.services.workers.Worker", Answering)
    monkeypatch.setattr(FakeWorker, "made", [])
    async with listing(run) as (_, pilot):
        assert "Export r, step 120" in await settled(pilot, "e")
        assert "wrote runs/r/exports/r.gguf" in await settled(pilot, "down", "enter")
        request = FakeWorker.made[0].request
        assert (request["to"], request["scheme"], request["step"], "output" in request) == ("gguf", "tq1_0", 120, False)
        await settled(pilot, "K", "e", "tab", *"here.gguf", "enter")
        assert FakeWorker.made[1].request["output"] == str(Path("here.gguf").absolute())


@pytest.mark.slow
async def test_an_export_is_told_for_as_long_as_it_works(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    def export(*_: object) -> str:
        time.sleep(0.2)
        told.append(app.said.text if app.said else "")
        return "a.gguf"

    monkeypatch.setattr("nanoconsole.services.exporting.export", export)
    monkeypatch.setitem(SAID_FOR, "information", 0.01)
    async with listing(run) as (app, pilot):
        await settled(pilot, "e", "enter")
        assert told == ["exporting GGUF of r step 120 …"]
        await pilot.pause(0.1)
        assert app.said is None  # other words end by themselves, and these with them


async def test_delete_asks_and_never_takes_the_only_good_one(run: RunFolder) -> None:
    async with listing(run) as (_, pilot):
        assert "Delete step 120 of r?" in await settled(pilot, "D")
        await settled(pilot, "enter")
        assert len(available(run.checkpoints_dir)) == 3
        await settled(pilot, "D", "down", "enter")
        assert [path.name[-3:] for path in available(run.checkpoints_dir)] == ["040", "080"]
        assert "step 40 stays: it is the only good checkpoint" in await settled(pilot, "down", "D")
        await settled(pilot, "up", "D", "down", "enter")  # a damaged one may go
        assert [path.name[-3:] for path in available(run.checkpoints_dir)] == ["040"]


async def test_what_a_trainer_at_work_keeps_is_told_by_its_rules(root: Path) -> None:
    run = lay(root, "busy", state="running")
    save(run, 40, 80)
    with at_work(run):
        async with listing(run, (140, 30)) as (_, pilot):
            told = await settled(pilot, "D")
            assert "keeps what checkpoint.keep_last, keep_every and keep_best say" in told
    assert len(available(run.checkpoints_dir)) == 2


async def test_a_run_without_checkpoints_says_which_key_saves_one(root: Path) -> None:
    async with listing(lay(root, "bare")) as (_, pilot):
        shown = await settled(pilot, "D", "enter", "f", "e", "c")
        assert "bare  has no checkpoint yet; k saves one now." in shown
