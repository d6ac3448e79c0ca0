"""The list of alerts: what it tells, every key of it, and how an alert is told while another screen is shown."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import OptionList

from nanoconsole.services.alert_log import Alert, AlertLog, ending, raised
from nanoconsole.services.settings import Settings
from nanoconsole.tui.app import ConsoleApp
from nanoconsole.tui.modes import MODES
from nanoconsole.tui.notice import notice
from nanoconsole.tui.screens.alerts import AlertsScreen
from nanocore.runs.layout import RunFolder
from nanocore.runs.records import RecordWriter
from tests.quick import quick
from tests.tui.scenes import NOW, at_work, console, lay, look, screen_text, seen, set_status
from tests.tui.test_golden import SLOW, check


def alert(root: Path, id: str, rule: str, **fields: object) -> Alert:
    facts = {
        "run": RunFolder(root / "tiny-cpu-0002"), "created": NOW - 900, "step": 1200, "time": NOW - 60, "value": 9.5,
        "low": -math.inf, "high": 6.0, "text": "loss 4.2, 9.5 robust deviations above its average 2.1",
        "section": "nan-divergence",
    }  # fmt: skip
    return Alert(id, rule, **{**facts, **fields})  # type: ignore[arg-type]


def some(root: Path) -> list[Alert]:
    """Three alerts on two runs that ended, one of them over and seen."""
    lay(root, "tiny-cpu-0002", steps=5, age=900)
    lay(root, "a-run-with-a-rather-long-name-0001", steps=5, age=800, state="crashed")
    long = RunFolder(root / "a-run-with-a-rather-long-name-0001")
    found = [
        alert(root, "1", "loss_spike", time=NOW - 600),
        alert(root, "2", "gradient_spike", time=NOW - 60, text="gradient norm 41.0, 22.1 times the usual 1.8"),
        alert(
            root, "3", "ended", run=long, created=NOW - 800, time=NOW - 5, value=math.nan, high=math.inf, step=30,
            text="it crashed", detail="killed by SIGKILL, perhaps because memory ran out", section="out-of-memory",
        ),
    ]  # fmt: skip
    log = AlertLog(root)
    log.add(raised(each) for each in found)
    log.add([ending(found[0], "cleared", NOW - 500), ending(found[0], "acknowledged", NOW - 400)])
    return found


@asynccontextmanager
async def opened(root: Path, size: tuple[int, int] = (120, 34)) -> AsyncIterator[tuple[ConsoleApp, Pilot[None]]]:
    app = console(root)
    async with app.run_test(size=size) as pilot:
        look(app)
        await seen(pilot)
        await pilot.press("exclamation_mark")
        await seen(pilot)
        assert isinstance(app.screen, AlertsScreen)
        yield app, pilot


async def settle(app: ConsoleApp, pilot: Pilot[None], head: str | None = None) -> str:
    """Let workers end and the follower look twice, as it does while the screen is open, or until the head says `head`.

    What a look finds comes to the head by a message, which on a busy machine is later than the next frame.
    """
    await app.workers.wait_for_complete()
    look(app)
    await seen(pilot)
    for _ in range(100):
        look(app)
        text = await seen(pilot)
        if head is None or head in text.splitlines()[0]:
            return text
    raise AssertionError(f"the head never said {head!r}")


async def test_it_tells_value_range_cause_and_where_to_read_on(root: Path) -> None:
    some(root)
    async with opened(root) as (_app, pilot):
        text = await seen(pilot)
        assert "▲ 2 alerts" in text
        assert "killed by SIGKILL, perhaps because memory ran out" in text
        assert "docs/troubleshooting.md#out-of-memory" in text
        await pilot.press("down", "down")
        text = await seen(pilot)
        assert "measured 9.500, range at most 6" in text
        assert "over after" in text
        assert "acknowledged" in text


async def test_without_alerts_it_says_what_is_watched(root: Path) -> None:
    async with opened(root) as (app, pilot):
        text = await seen(pilot)
        assert "No alerts." in text
        assert ", shows the rules" in text
        assert "Open" not in text.splitlines()[-1]
        await pilot.press("enter", "a", "A", "m")
        assert isinstance(app.screen, AlertsScreen)
        await pilot.press("escape")
        assert app.screen is app.screen_stack[0]


async def test_enter_opens_the_run_at_the_step(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nanoconsole.tui.screens.live import LiveScreen

    some(root)
    steps: list[int] = []
    monkeypatch.setattr(LiveScreen, "show_step", lambda screen, step: steps.append(step))
    async with opened(root) as (app, pilot):
        await pilot.press("down", "enter")
        await seen(pilot)
        assert app.current_mode == "live"
        assert app.opened == RunFolder(root / "tiny-cpu-0002")
        assert steps == [1200]
        await pilot.press("1", "3")
        await seen(pilot)
        assert steps == [1200]  # once


async def test_one_and_then_all_are_acknowledged(root: Path) -> None:
    some(root)
    async with opened(root) as (app, pilot):
        await pilot.press("a")
        text = await settle(app, pilot, "▲ 1 alert ")
        assert [each.id for each in AlertLog(root).read().new] == ["2"]
        assert "▲ 1 alert " in text
        await pilot.press("A")
        text = await settle(app, pilot, "9 Log   ")  # nothing between the last mode and the folder
        assert AlertLog(root).read().new == ()
        assert "▲" not in text.splitlines()[0]
        assert "Acknowledge" not in text.splitlines()[-1]


async def test_a_rule_is_muted_on_its_run_and_heard_again(root: Path) -> None:
    found = some(root)
    async with opened(root) as (app, pilot):
        await pilot.press("m")
        assert "Unmute" in await settle(app, pilot)
        assert AlertLog(root).read().muted == {(found[2].run, "ended")}
        await pilot.press("m")
        assert "Unmute" not in await settle(app, pilot)
        assert AlertLog(root).read().muted == frozenset()


async def test_the_cursor_stays_on_its_alert_when_another_comes(root: Path) -> None:
    some(root)
    async with opened(root) as (app, pilot):
        await pilot.press("down")
        AlertLog(root).add([raised(alert(root, "9", "disk", time=NOW, section="disk-full"))])
        await settle(app, pilot)
        option = app.screen.query_one(OptionList).highlighted_option
        assert option is not None
        assert option.id == "2"


async def test_hostile_records_are_shown_as_text(root: Path) -> None:
    lay(root, "tiny-cpu-0002", steps=5, age=900)
    AlertLog(root).add(
        [raised(alert(root, "x[red]", "disk", text="\x1b[2J[red]t[/]", detail="\u202e" + "long " * 200))]
    )
    async with opened(root, (80, 24)) as (_, pilot):
        text = await seen(pilot)
        assert "[red]t[/]" in text
        assert "\x1b" not in text
        assert "\u202e" not in text


async def test_a_new_alert_is_told_on_any_screen_and_rings(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = lay(root, "busy", state="running", steps=60, age=100)
    written: list[str] = []
    values = {**Settings().values, "alerts.loss_spike.actions": ("notify", "bell")}
    app = ConsoleApp(root, settings=Settings(values), follow=False, clock=lambda: NOW)
    with at_work(run):
        async with app.run_test(size=(140, 24)) as pilot:
            look(app)
            assert "▲" not in (await seen(pilot)).splitlines()[0]
            monkeypatch.setattr(type(app), "is_headless", False)
            monkeypatch.setattr(app._driver, "write", written.append)
            writer = RecordWriter(run.metrics_file)
            writer.write({"step": 61, "attempt": 1, "loss/ce": 50.0})
            writer.close()
            set_status(run, step=61)
            look(app)
            text = await seen(pilot)
            monkeypatch.setattr(type(app), "is_headless", True)
    assert "busy, step 61: loss spike: loss 50.00" in text
    assert "(! shows it)" in text
    assert "▲ 1 alert " in text.splitlines()[0]
    (ring,) = [each for each in written if "\x1b]9;" in each]
    assert ring.startswith("\a\x1b]9;nanoconsole: busy, step 61: loss spike")
    assert ring.endswith("\a")


@pytest.mark.parametrize("width", quick([50, 60, 80, 120], 50, 120))
async def test_the_title_has_every_tab_and_every_count_at_any_width(width: int, root: Path) -> None:
    some(root)
    busy, paused = lay(root, "busy", state="running", steps=5), lay(root, "held", state="paused", steps=5)
    app = console(root)
    with at_work(busy), at_work(paused):
        async with app.run_test(size=(width, 24)) as pilot:
            look(app)
            title = (await seen(pilot)).splitlines()[0]
            assert [mode.number for mode in MODES if f" {mode.number} " not in title] == []
            for mode in (MODES[0], max(MODES, key=lambda mode: len(mode.label))):
                await pilot.press(mode.number)
                now = (await seen(pilot)).splitlines()[0]
                assert f" {mode.number} {mode.label} " in now
                assert "● 1" in now
                assert "◫ 1" in now
                assert "▲ 2" in now
            await app.workers.wait_for_complete()


async def test_a_click_on_the_count_of_alerts_lists_them(root: Path) -> None:
    some(root)
    app = console(root)
    async with app.run_test(size=(100, 24)) as pilot:
        look(app)
        title = (await seen(pilot)).splitlines()[0]
        await pilot.click(offset=(title.index("▲") + 1, 0))
        await seen(pilot)
        assert isinstance(app.screen, AlertsScreen)


@pytest.mark.parametrize("text", ["a\x07b", "a\x1b\\b", "a\x9cb", "a\nb", "\x1b]52;c;x\x07", "x" * 1000])
def test_no_text_ends_a_notice_and_begins_another(text: str) -> None:
    found = notice(text)
    inner = found.removeprefix("\a\x1b]9;").removesuffix("\a")
    assert inner.startswith("nanoconsole: ")
    assert inner.isprintable()
    assert len(inner) < 140


@pytest.mark.parametrize("size", SLOW, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_it_looks_as_it_did(size: tuple[int, int], root: Path) -> None:
    some(root)
    async with opened(root, size) as (app, _):
        check(f"alerts-{size[0]}x{size[1]}", screen_text(app))
