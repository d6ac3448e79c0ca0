"""Verify, repair, export and import as plain text at four sizes, and one picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from tests.tui.checkpoint_scenes import damage
from tests.tui.scenes import console, look
from tests.tui.test_golden import SLOW, check
from tests.tui.worker_scenes import WorkerHere, settled
from tests.whole_run import whole_run


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    """A damaged run, and work in this process; paths are the same everywhere."""
    monkeypatch.setattr("nanoconsole.services.workers.Worker", WorkerHere)
    monkeypatch.setattr("nanoconsole.tui.screens.pack.place_of", lambda typed: Path("/home/you/lab") / typed)
    run = whole_run(root, "a-run-with-a-rather-long-name-0001")
    damage(run, 20)
    (run.exports_dir / "r.gguf").write_bytes(b"no GGUF")


@pytest.mark.parametrize("size", SLOW, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_the_dialogs_look_as_they_did(size: tuple[int, int], root: Path) -> None:
    app, shape = console(root), f"{size[0]}x{size[1]}"
    async with app.run_test(size=size) as pilot:
        look(app)
        await settled(pilot)
        check(f"verify-{shape}", await settled(pilot, "v"))
        check(f"repair-{shape}", await settled(pilot, "r"))
        check(f"pack-{shape}", await settled(pilot, "escape", "e"))
        await settled(pilot, "escape", "i")
        app.screen.query_one("#file", Input).value = "missing.tar.gz"
        check(f"unpack-{shape}", await settled(pilot, "enter"))


def test_verify(root: Path, snap_compare: Callable[..., bool]) -> None:
    async def verify(pilot: Pilot[None]) -> None:
        look(pilot.app)  # type: ignore[arg-type]
        await settled(pilot)
        await settled(pilot, "v")

    assert snap_compare(console(root), terminal_size=(120, 34), run_before=verify)
