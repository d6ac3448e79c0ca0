"""One picture (SVG) of the dialogs of alerts and settings. `pytest --snapshot-update` accepts new ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from textual.pilot import Pilot

from nanoconsole.tui.app import ConsoleApp
from tests.tui.scenes import console, look, seen
from tests.tui.test_alerts_screen import some

SIZE = (120, 34)
Compare = Callable[..., bool]


@pytest.fixture
def app(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ConsoleApp]:
    monkeypatch.setattr("nanoconsole.tui.screens.settings.settings_file", lambda: Path("~/.config/settings.toml"))
    some(root)
    yield console(root)


def pressed(*names: str, theme: str = "nano-dark") -> Callable[[Pilot[None]], object]:
    async def press(pilot: Pilot[None]) -> None:
        app = pilot.app
        assert isinstance(app, ConsoleApp)
        app.theme = theme
        look(app)
        await seen(pilot)
        await pilot.press(*names)
        await app.workers.wait_for_complete()
        await seen(pilot)

    return press


def test_alerts(app: ConsoleApp, snap_compare: Compare) -> None:
    assert snap_compare(app, terminal_size=SIZE, run_before=pressed("exclamation_mark"))


@pytest.mark.parametrize("theme", ["nano-dark", "nano-light"])
def test_settings(theme: str, app: ConsoleApp, snap_compare: Compare) -> None:
    assert snap_compare(app, terminal_size=SIZE, run_before=pressed("comma", "down", "enter", theme=theme))
