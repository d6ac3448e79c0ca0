"""What tests of the screens of one run share: the app opened on a run, and a search that answers at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from textual.pilot import Pilot

from nanoconsole.services.log_scan import LogScan, compiled
from nanoconsole.services.log_search import LogSearch
from nanoconsole.tui.app import ConsoleApp
from nanocore.errors import UsageError
from nanocore.runs.layout import RunFolder
from tests.tui.scenes import console, look, screen_text

STAMP = "2026-11-21 12:00"


@asynccontextmanager
async def showing(
    run: RunFolder, number: str, size: tuple[int, int] = (100, 30)
) -> AsyncIterator[tuple[ConsoleApp, Pilot[None]]]:
    """The screen of a number, opened on a run."""
    app = console(run.path.parent)
    async with app.run_test(size=size) as pilot:
        look(app)
        await pilot.pause()
        app.watch_run(run)
        await press(pilot, number)
        yield app, pilot


async def press(pilot: Pilot[None], *pressed: str) -> str:
    """Press keys, let what reads in threads end and the follower look; the screen's text."""
    app = cast("ConsoleApp", pilot.app)
    for key in pressed:
        await pilot.press(key)
        await _settle(pilot)
    look(app)
    await pilot.pause()
    await _settle(pilot)
    return screen_text(app)


async def _settle(pilot: Pilot[None]) -> None:
    """Reading may ask for more reading: what came into sight."""
    while any(not worker.is_finished for worker in pilot.app.workers):
        await pilot.app.workers.wait_for_complete()
        await pilot.pause()


class SearchAtOnce(LogSearch):
    """Looks through the log before it returns, in this process."""

    def _start(self, request: dict[str, Any]) -> None:
        try:
            scan = LogScan(Path(request["path"]), compiled(request["pattern"]), request["level"])
            for found in scan.answers():
                self._take(asdict(found))
        except UsageError as error:
            self._take({"error": error.what})
        self._on_news()

    def close(self) -> None:
        self._closed = True


class SearchInTime(SearchAtOnce):
    """Looks through the log when it is told to, as a process that takes its time."""

    newest: SearchInTime

    def _start(self, request: dict[str, Any]) -> None:
        self._request = request
        SearchInTime.newest = self

    def answer(self) -> None:
        super()._start(self._request)


def write_log(run: RunFolder, steps: int = 300) -> None:
    """A log with a warning, an error with its traceback, and a line that would steer a terminal."""
    lines = [f"{STAMP}:{step % 60:02d} INFO    step {step}: ce 2.1, [bold]{step}[/]" for step in range(1, steps + 1)]
    lines[99] = f"{STAMP}:39 WARNING step 100: the loss is odd"
    lines[199] = (
        f"{STAMP}:19 ERROR   step 200: cannot save\nTraceback (most recent call last):\nOSError: \x1b[31mno space"
    )
    run.log_file.write_text("\n".join(lines) + "\n")
