"""Deleted runs of every root are listed, and brought back by a key."""

from __future__ import annotations

from pathlib import Path

from nanoconsole.services.settings import Settings
from nanoconsole.services.settings_schema import SETTINGS
from nanoconsole.tui.app import ConsoleApp
from nanoconsole.tui.screens.trash import TrashScreen
from nanocore.checkpoint.manifest import step_folder
from nanocore.runs.layout import list_runs
from nanocore.runs.trash import discard, to_trash
from tests.tui.scenes import NOW, console, lay, look, seen


def unbroken(text: str) -> str:
    """A text whose long lines were broken to fit."""
    return "".join(text.replace("│", "").split())


async def test_a_deleted_run_of_any_root_is_brought_back(root: Path, tmp_path: Path) -> None:
    lab = tmp_path / "lab"
    for place in (root, lab):
        discard(place, lay(place, f"old-{place.name}", steps=5))
    values = {setting.key: setting.default for setting in SETTINGS} | {"roots": (str(lab),)}
    app = ConsoleApp(root, follow=False, clock=lambda: NOW, settings=Settings(values=values))
    async with app.run_test(size=(100, 24)) as pilot:
        look(app)
        await pilot.press("T")
        await app.workers.wait_for_complete()
        text = await seen(pilot)
        assert "Deleted runs  2" in text and "Bring back" in text
        assert isinstance(app.screen, TrashScreen)
        names = [run.name for run in app.screen._runs]
        await pilot.press(*["down"] * names.index("old-lab"))
        assert f"goesbackto{lab}" in unbroken(await seen(pilot))
        await pilot.press("enter")
        await app.workers.wait_for_complete()
        assert "old-lab is a run again" in await seen(pilot)
        assert [run.name for run in list_runs(lab)] == ["old-lab"]
        assert list_runs(root) == []


async def test_a_name_that_is_taken_and_an_empty_trash_are_told(root: Path) -> None:
    app = console(root)
    async with app.run_test(size=(100, 24)) as pilot:
        await pilot.press("T")
        await app.workers.wait_for_complete()
        assert "The trash is empty." in await seen(pilot)
        await pilot.press("escape")
        discard(root, lay(root, "old", steps=5))
        lay(root, "old", steps=7)
        await pilot.press("T")
        await app.workers.wait_for_complete()
        await pilot.press("enter")
        await app.workers.wait_for_complete()
        assert "arunnamed'old'existsalready" in unbroken(await seen(pilot))


async def test_what_a_repair_put_away_is_brought_back_to_its_run(root: Path) -> None:
    run = lay(root, "mended", steps=5)
    home = step_folder(run.checkpoints_dir, 5)
    home.mkdir(parents=True, exist_ok=True)
    to_trash(root, home, "mended-step-00000005")
    app = console(root)
    async with app.run_test(size=(100, 24)) as pilot:
        await pilot.press("T")
        await app.workers.wait_for_complete()
        assert "mended/checkpoints/step-00000005" in await seen(pilot)
        await pilot.press("enter")
        await app.workers.wait_for_complete()
        assert "step-00000005 is back in mended" in await seen(pilot)
    assert home.is_dir()
