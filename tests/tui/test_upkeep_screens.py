"""Verify, repair, export and import from the list of runs: what each tells, does and refuses."""

from __future__ import annotations

import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from nanoconsole.tui.app import ConsoleApp
from nanoconsole.tui.screens.pack import PackScreen
from nanoconsole.tui.screens.repair import RepairScreen
from nanoconsole.tui.screens.runs import RunsScreen
from nanoconsole.tui.screens.unpack import UnpackScreen
from nanoconsole.tui.screens.verify import VerifyScreen
from nanocore.checkpoint.manifest import available
from nanocore.runs.layout import RunFolder, list_runs
from tests.tui.checkpoint_scenes import damage, save
from tests.tui.scenes import at_work, console, lay, look, seen
from tests.tui.worker_scenes import FakeWorker, WorkerHere
from tests.tui.worker_scenes import settled as settled_lines
from tests.whole_run import contents, whole_run

WORKER = "nanoconsole.services.workers.Worker"


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work is done in this process."""
    monkeypatch.setattr(WORKER, WorkerHere)


@asynccontextmanager
async def listing(root: Path, size: tuple[int, int] = (120, 34)) -> AsyncIterator[tuple[ConsoleApp, Pilot[None]]]:
    app = console(root)
    async with app.run_test(size=size) as pilot:
        look(app)
        await settled(pilot)
        yield app, pilot


async def settled(pilot: Pilot[None], *keys: str) -> str:
    """The screen after keys in one line, whatever its breaks."""
    return " ".join((await settled_lines(pilot, *keys)).replace("│", " ").split())


def line(app: ConsoleApp, name: str = "Input") -> Input:
    return app.screen.query_one(name, Input)


async def test_verify_lists_every_part_and_leads_to_a_repair_that_asks(root: Path) -> None:
    run = whole_run(root)
    damage(run, 20)
    async with listing(root) as (app, pilot):
        text = await settled(pilot, "v")
        assert "✗ 1 of 10 parts is broken" in text and "✗ broken checkpoints/step-00000020" in text
        assert text.count("✓ whole") == 9 + 1  # and once behind it: the run has that name
        assert "was altered (SHA-256 differs)" in text  # of the broken part, where the cursor is
        text = await settled(pilot, "r")
        assert isinstance(app.screen, RepairScreen) and "step-00000020 moved to the trash" in text
        await settled(pilot, "enter")
        assert len(available(run.checkpoints_dir)) == 3 and isinstance(app.screen, RunsScreen)
        await settled(pilot, "R", "down")
        assert "whole: 1 moved to the trash" in await settled(pilot, "enter")
        assert [path.name[-2:] for path in available(run.checkpoints_dir)] == ["10", "30"]
        assert "Nothing to repair" in await settled(pilot, "R", "enter")  # and nothing to choose


@pytest.mark.slow
async def test_of_several_runs_what_is_not_whole_is_listed_with_its_run(root: Path) -> None:
    damage(whole_run(root, "hurt"), 10)
    whole_run(root, "well")
    async with listing(root) as (app, pilot):
        text = await settled(pilot, "A", "v")
        assert "Verify 2 runs" in text and "✗ broken hurt checkpoints/step-00000010" in text
        assert "✓ whole" not in text
        await settled(pilot, "r")
        assert isinstance(app.screen, RepairScreen) and "Repair hurt" in await settled(pilot)


async def test_a_run_that_is_whole_is_told_in_one_line_and_offers_no_repair(root: Path) -> None:
    whole_run(root)
    async with listing(root) as (app, pilot):
        text = await settled(pilot, "v")
        assert "parts is broken" in text and "✓ none of " in text and "r Repair" not in text
        await settled(pilot, "r")
        assert isinstance(app.screen, VerifyScreen)


@pytest.mark.slow
async def test_what_no_repair_can_mend_is_told_and_not_offered(root: Path) -> None:
    (whole_run(root).config_file).write_text("[model]\nd_model = 7.5.1\n")
    async with listing(root) as (app, pilot):
        text = await settled(pilot, "R", "enter")
        assert "config.toml stays broken: put a copy back" in text and "Repair it" not in text
        assert isinstance(app.screen, RepairScreen)


async def test_export_and_import_make_the_same_run_elsewhere(root: Path) -> None:
    run = whole_run(root)
    before = contents(run)
    async with listing(root, (160, 30)) as (app, pilot):
        assert f"→{Path('whole.tar.gz').absolute()}" in (await settled(pilot, "e")).replace(" ", "")
        line(app).value = "first.tar"
        assert "packed whole: " in await settled(pilot, "enter")
        with tarfile.open("first.tar") as packed:
            assert "config.toml" in packed.getnames()
        await settled(pilot, "i")
        line(app, "#file").value = " first.tar "
        line(app, "#name").value = "again"
        assert "again is a run now" in await settled(pilot, "enter")
        look(app)
        assert "again" in await settled(pilot)
    after = contents(RunFolder(root / "again"))
    assert {name: raw for name, raw in after.items() if name != "run.json"} == {
        name: raw for name, raw in before.items() if name != "run.json"
    }


@pytest.mark.slow
async def test_what_an_archive_leaves_out_is_told(root: Path) -> None:
    damage(whole_run(root), 10)
    async with listing(root, (200, 30)) as (_, pilot):
        assert "left out: checkpoints/step-00000010/" in await settled(pilot, "e", "enter")


async def test_a_refusal_is_one_line_in_the_dialog_which_stays(root: Path) -> None:
    whole_run(root)
    Path("old.tar").write_text("mine")
    async with listing(root) as (app, pilot):
        await settled(pilot, "e")
        for typed, words in (
            ("old.tar", "exists already"),
            ("x.zip", "is no name of an archive"),
            ("no/x.tar", "no folder"),
        ):
            line(app).value = typed
            text = await settled(pilot, "enter")
            assert words in text and isinstance(app.screen, PackScreen) and app.screen.focused is line(app)
        line(app).value = " "
        await settled(pilot, "enter", "escape", "i", "enter")
        assert isinstance(app.screen, UnpackScreen)  # without a file there is nothing to do
        line(app, "#file").value = "old.tar"
        assert "✗ old.tar: " in await settled(pilot, "enter")
        await settled(pilot, "escape", "e", "enter", "i")
        line(app, "#file").value = "whole.tar.gz"
        assert "exists already" in await settled(pilot, "enter")
        assert app.screen.focused is line(app, "#name")
    assert Path("old.tar").read_text() == "mine" and [run.name for run in list_runs(root)] == ["whole"]


async def test_a_run_at_work_is_verified_and_neither_repaired_nor_exported(root: Path) -> None:
    run = lay(root, "busy", state="running", steps=5)
    run.events_file.touch()
    save(run, 40, 80)
    damage(run, 40)
    with at_work(run):
        async with listing(root) as (app, pilot):
            for key in ("R", "e"):
                assert "not possible: the run is running" in await settled(pilot, key)
                assert isinstance(app.screen, RunsScreen)
            assert "✗ 1 of " in await settled(pilot, "v") and "r Repair" not in await settled(pilot)


async def test_progress_is_told_and_closing_the_dialog_ends_the_work(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole_run(root)
    monkeypatch.setattr(WORKER, FakeWorker)
    monkeypatch.setattr(FakeWorker, "made", [])
    app = console(root)
    async with app.run_test(size=(100, 30)) as pilot:
        look(app)
        await pilot.pause()
        await pilot.press("e", "enter")
        while not FakeWorker.made:
            await pilot.pause()
        worker = FakeWorker.made[0]
        assert worker.request["verb"] == "runs-pack" and line(app).disabled
        worker.answer({"kind": "progress", "phase": "writing", "done": 3 << 20, "total": 4 << 20})
        await pilot.pause()
        assert "writing 3.00 MiB of 4.00 MiB …" in await seen(pilot)
        await pilot.press("escape")
        await app.workers.wait_for_complete()
        assert worker.cancelled and isinstance(app.screen, RunsScreen)


@pytest.mark.slow
async def test_the_palette_has_all_four(root: Path) -> None:
    whole_run(root)
    async with listing(root) as (app, _):
        titles = {command.title for command in app.get_system_commands(app.screen)}
    assert {"Verify (v)", "Repair (R)", "Export (e)", "Import (i)"} <= titles
