"""TensorBoard from Live: started and ended by its key, its address in the head, and by itself when it is set so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from textual.widgets import Input

from nanoconsole.services import tensorboard as service
from nanoconsole.tui.messages import RunLaunched
from nanocore.errors import ResourceError
from nanocore.runs.layout import RunFolder
from tests.run_helpers import wait_for
from tests.tui.scenes import console, lay, look, seen

URL = "http://127.0.0.1:6006/"


class Board:
    """A TensorBoard that answers at once."""

    url, alive = URL, True
    served: list[str]

    def __init__(self, run: RunFolder, log: Path, *, port: int | None = None) -> None:
        self.run = run.name
        self.served.append(run.name)

    def __enter__(self) -> Board:
        return self

    def __exit__(self, *_: object) -> None:
        self.served.remove(self.run)


class Refused(Board):
    def __init__(self, run: RunFolder, log: Path, *, port: int | None = None) -> None:
        raise ResourceError("TensorBoard did not start: no [room]", where=str(log))


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the runs that have a TensorBoard."""
    monkeypatch.setattr(service, "TensorBoard", Board)
    monkeypatch.setattr(Board, "served", [], raising=False)
    return Board.served


@pytest.mark.parametrize("size", [(80, 24), pytest.param((120, 34), marks=pytest.mark.slow)], ids=["narrow", "wide"])
async def test_its_key_starts_it_tells_where_it_is_and_ends_it(
    size: tuple[int, int], root: Path, served: list[str]
) -> None:
    run = lay(root, "done", steps=5)
    app = console(root)
    async with app.run_test(size=size) as pilot:
        look(app)
        app.open_run(run)
        await pilot.pause()
        look(app)
        before = await seen(pilot)
        await pilot.press("T")
        wait_for(lambda: app.boards.url(run), "TensorBoard")
        text = await seen(pilot)
        assert f" TensorBoard {URL}" in text.splitlines()
        assert f"✓ TensorBoard of done: {URL}" in text
        await pilot.press("T")
        wait_for(lambda: not served, "its end")
        assert "✓ TensorBoard of done ends" in await seen(pilot)
        assert URL not in await seen(pilot)
        app._show_said(None)
        assert await seen(pilot) == before


async def test_why_it_did_not_start_is_told_and_it_ends_with_the_console(
    root: Path, served: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = lay(root, "done", steps=5)
    app = console(root)
    async with app.run_test(size=(80, 24)) as pilot:
        look(app)
        app.open_run(run)
        await pilot.pause()
        with monkeypatch.context() as broken:
            broken.setattr(service, "TensorBoard", Refused)
            await pilot.press("T")
            wait_for(lambda: not app.boards.has(run), "the refusal")
        while "✗" not in await seen(pilot):  # its thread tells it a moment later
            pass
        assert "TensorBoard did not start: no [room]" in " ".join((await seen(pilot)).split())
        await pilot.press("ctrl+p")
        await seen(pilot)
        app.screen.query_one(Input).value = "tensorboard"
        await seen(pilot)
        await app.workers.wait_for_complete()
        await pilot.press("enter")  # before the setting of that name
        await seen(pilot)
        wait_for(lambda: served == ["done"], "TensorBoard")
    wait_for(lambda: not served, "its end")


async def test_what_is_launched_or_resumed_here_has_one_by_itself_when_it_is_set_so(
    root: Path, started: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = lay(root, "done", steps=5, state="stopped")
    app = console(root)
    asked: list[RunFolder] = []
    monkeypatch.setattr(app.boards, "launched", asked.append)
    async with app.run_test(size=(80, 24)) as pilot:
        app.post_message(RunLaunched(run))
        look(app)
        await seen(pilot)
        assert (app.current_mode, asked) == ("live", [])
        app.use(replace(app.settings, values={**app.settings.values, "tensorboard": True}))
        app.post_message(RunLaunched(run))
        look(app)
        await seen(pilot)
        assert asked == [run]
        await pilot.press("r")
        await app.workers.wait_for_complete()
        assert (started, asked) == (["done"], [run, run])
