"""Layers, Samples and Log as plain text at four sizes, and as pictures."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from nanocore.runs.layout import RunFolder
from tests.tui.layer_scenes import lay_layers
from tests.tui.run_scenes import SearchAtOnce, press, showing, write_log
from tests.tui.scenes import console, lay, look
from tests.tui.test_golden import SIZES, check
from tests.tui.test_snapshots import SIZE, Compare

KEYS = {
    "layers": ("4", "n"),
    "samples": ("6", "left", "o", "down", "enter", "d"),
    "log": ("9", "slash", *"odd|fail", "enter", "l"),
}


@pytest.fixture
def run(root: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    monkeypatch.setattr("nanoconsole.tui.log_searching.LogSearch", SearchAtOnce)
    found = lay(root, "tiny-cpu-0003", age=60)
    lay_layers(found, measurements=40, layers=6)
    write_log(found)
    found.sample_file(120).write_text("def add(a, b):\n    return the the sum of a\n")
    lay(root, "a-run-with-a-rather-long-name-0001", steps=100)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_every_screen_of_a_run_looks_as_it_did(size: tuple[int, int], run: RunFolder) -> None:
    async with showing(run, "1", size) as (app, pilot):
        for name, keys in KEYS.items():
            await press(pilot, *keys)
            app._show_said(None)  # what was said is another screen's too
            check(f"{name}-{size[0]}x{size[1]}", await press(pilot))


@pytest.mark.parametrize("name", list(KEYS))
def test_picture(name: str, run: RunFolder, snap_compare: Compare) -> None:
    app = console(run.path.parent)

    async def go(pilot: Pilot[None]) -> None:
        look(app)
        await pilot.pause()
        app.watch_run(run)
        await press(pilot, *KEYS[name])

    assert snap_compare(app, terminal_size=SIZE, run_before=go)
