"""The watched run: its charts follow the keys and the data, its log and sample are shown."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot

from nanoconsole.services import meters
from nanoconsole.tui.app import ConsoleApp
from nanoconsole.tui.widgets import chart
from nanoconsole.tui.widgets.log_view import LogView
from nanocore.runs.layout import RunFolder
from nanocore.runs.liveness import acquire
from nanocore.runs.records import RecordWriter
from tests.tui.scenes import GIB, METERS, SteadyMeters, at_work, console, lay, look, seen, set_status


@asynccontextmanager
async def watching(run: RunFolder, size: tuple[int, int] = (100, 30)) -> AsyncIterator[tuple[ConsoleApp, Pilot[None]]]:
    """Live, opened on a run."""
    app = console(run.path.parent)
    async with app.run_test(size=size) as pilot:
        look(app)
        await pilot.pause()
        app.open_run(run)
        await pilot.pause()
        await see(app, pilot)
        yield app, pilot


async def see(app: ConsoleApp, pilot: Pilot[None]) -> str:
    """One look of the follower, shown; the screen's text."""
    look(app)
    return await seen(pilot)


def append(run: RunFolder, **record: object) -> None:
    writer = RecordWriter(run.metrics_file)
    writer.write({"attempt": 1, "tokens": 0, "elapsed": 0.0, **record})
    writer.close()


async def test_keys_change_axis_scale_and_smoothing(root: Path) -> None:
    async with watching(lay(root, "r", steps=200)) as (_, pilot):
        first = await seen(pilot)
        assert " steps" in first
        await pilot.press("x")
        assert " tokens" in await seen(pilot)
        await pilot.press("x")
        assert "30s" in await seen(pilot)  # 200 steps of a quarter second
        await pilot.press("x")
        assert await seen(pilot) == first
        await pilot.press("y")
        assert " log" in await seen(pilot)
        await pilot.press("y")
        assert await seen(pilot) == first
        await pilot.press("s")
        assert (await seen(pilot)).splitlines()[7] != first.splitlines()[7]


async def test_zoom_and_text_take_the_space_and_escape_gives_it_back(root: Path) -> None:
    async with watching(lay(root, "r", steps=50)) as (app, pilot):
        first = await seen(pilot)
        await pilot.press("tab", "z")
        assert "gradient norm" in await seen(pilot)
        assert "throughput" not in await seen(pilot)
        await pilot.press("escape", "t")
        assert "gradient norm" not in await seen(pilot)
        assert "INFO step 50" in await seen(pilot)
        await pilot.press("escape", "shift+tab")
        assert await seen(pilot) == first
        await pilot.press("escape")
        assert app.current_mode == "runs"


async def test_a_narrow_terminal_shows_one_chart_and_tab_goes_on(root: Path) -> None:
    async with watching(lay(root, "r", steps=50), (50, 16)) as (_, pilot):
        text = await seen(pilot)
        assert "loss" in text.splitlines()[5]
        assert "gradient norm" not in text
        assert "tab Chart" in text
        assert "Enlarge" not in text
        await pilot.press("tab", "tab")
        assert "mHC" in (await seen(pilot)).splitlines()[5]


async def test_a_loss_that_is_not_finite_is_marked_and_judged(root: Path) -> None:
    run = lay(root, "r", state="running", steps=60)
    with at_work(run):
        async with watching(run) as (app, pilot):
            assert "✕" not in await seen(pilot)
            append(run, step=61, **{"loss/ce": float("nan")})
            text = await see(app, pilot)
            assert "✕ 1 non-finite" in text
            assert "non-finite loss in 1 of the last 61 logged steps" in text
            assert "loss nan" in text


async def test_nothing_is_drawn_again_without_new_data(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = lay(root, "r", steps=60)
    async with watching(run) as (app, pilot):
        drawn: list[str] = []
        real = chart.draw
        monkeypatch.setattr(chart, "draw", lambda *a, **k: drawn.append(a[2].key) or real(*a, **k))
        await see(app, pilot)
        assert drawn == []
        append(run, step=61, **{"loss/ce": 1.0})
        await see(app, pilot)
        assert sorted(drawn) == ["gradient", "loss", "mhc", "throughput"]
        await pilot.press("1")
        append(run, step=62, **{"loss/ce": 1.0})
        await see(app, pilot)
        assert len(drawn) == 4  # hidden charts are parked


async def test_log_and_sample_follow_the_run(root: Path) -> None:
    run = lay(root, "r", steps=5)
    async with watching(run, (160, 40)) as (app, pilot):
        with run.log_file.open("a") as log:
            log.write("ten \x1b[2J new [red]lines[/]\n" * 10)
        run.sample_file(9).write_text("class Probe: [/] \x9b")
        text = await see(app, pilot)
        assert "ten ␛[2J new [red]lines[/]" in text
        assert "newest sample, step 9" in text
        assert "class Probe: [/] \ufffd" in text
        assert app.screen.query_one(LogView).line_count == 15


async def test_the_log_stays_where_it_is_when_told(root: Path) -> None:
    run = lay(root, "r", steps=200)
    async with watching(run, (160, 30)) as (app, pilot):
        await pilot.press("f")
        assert "the log stays" not in await seen(pilot)  # the charts have the keys
        await pilot.press("t", "f")
        assert "the log stays" in await seen(pilot)
        with run.log_file.open("a") as log:
            log.write("the newest line\n")
        assert "the newest line" not in await see(app, pilot)
        await pilot.press("f")
        assert "the newest line" in await seen(pilot)


async def test_header_and_keys_follow_the_state(root: Path) -> None:
    run = lay(root, "r", state="running", steps=100)
    lock = acquire(run)
    async with watching(run) as (app, pilot):
        text = await seen(pilot)
        assert "● running" in text
        assert "left 1m 15s" in text  # 300 steps at four a second
        assert "S Stop" in text
        set_status(run, state="paused", phase="paused")
        assert "◫ paused" in await see(app, pilot)
        lock.release()
        set_status(run, state="stopped", message="stopped at step 100")
        text = await see(app, pilot)
        assert "■ stopped" in text
        assert "stopped at step 100" in text
        assert "S Stop" not in text
        assert "r Resume" in text


async def test_a_run_without_records_says_why_charts_are_empty(root: Path) -> None:
    run = lay(root, "r", state="starting", steps=0, phase="importing")
    with at_work(run):
        async with watching(run) as (_, pilot):
            assert (await seen(pilot)).count("no step yet") == 4
            assert "starting (importing)" in await seen(pilot)


async def test_live_without_a_run_says_what_to_press(root: Path) -> None:
    app = console(root)
    async with app.run_test() as pilot:
        await pilot.press("3")
        assert "No run is opened" in await seen(pilot)


async def test_a_crash_is_told_to_its_last_word(root: Path) -> None:
    run = lay(root, "r", state="crashed", steps=0, message="the allocator found no room, " * 6 + "and this is the end")
    async with watching(run, (60, 20)) as (_, pilot):
        assert "and this is the end" in " ".join((await seen(pilot)).split())


async def test_a_run_that_recorded_nothing_opens_on_its_log(root: Path) -> None:
    run = lay(root, "r", state="crashed", steps=0, total=0, message="it ended with exit code 1")
    run.metrics_file.write_text("")
    run.log_file.write_text("Traceback:\n  in build\nRuntimeError: the corpus is empty\n")
    async with watching(run, (80, 24)) as (app, pilot):
        text = await seen(pilot)
        assert "✗ crashed: it ended with exit code 1" in text
        assert "RuntimeError: the corpus is empty" in text
        await pilot.press("t")
        assert (await seen(pilot)).count("no step was recorded") == 4
        await pilot.press("t", "escape")
        assert app.current_mode == "runs"


async def test_the_key_bar_shows_what_is_valid_where_one_is(root: Path) -> None:
    async with watching(lay(root, "r", steps=5), (100, 24)) as (app, pilot):
        keys = (await seen(pilot)).splitlines()[-1]
        assert "t Text  z Enlarge  tab Chart  i Inspect  + Zoom in  x Axis  y Log" in keys
        await pilot.press("z")
        assert (await seen(pilot)).splitlines()[-1].startswith(" z All charts  tab Chart  i Inspect")
        await pilot.press("t")
        before = await seen(pilot)
        assert before.splitlines()[-1].startswith(" f Follow  tab Log, sample")
        assert "t Charts" in before
        assert "x Axis" not in before
        await pilot.press("x", "y", "s")  # what is not on the screen is not changed
        assert await seen(pilot) == before
        await pilot.press("tab")
        assert app.focused is app.screen.query_one("#sample")
        await pilot.press("t", "z")
        assert " steps" in await seen(pilot)


async def test_the_text_view_wraps_the_log_and_names_its_parts(root: Path) -> None:
    run = lay(root, "r", steps=5)
    run.log_file.write_text("2026-01-02 03:04:05 a line with " + "many words " * 12 + "last\n")
    async with watching(run, (80, 24)) as (_, pilot):
        await pilot.press("t")
        text = await seen(pilot)
        assert " 03:04:05 a line" in text
        assert "2026" not in text
        assert "many words last" in " ".join(text.split())
        assert "─log─" in text
        assert "─newest sample, step 5─" in text


async def test_a_paused_run_is_not_said_to_train(root: Path) -> None:
    run = lay(root, "r", state="paused", phase="paused", steps=5)
    with at_work(run):
        async with watching(run) as (app, pilot):
            text = await seen(pilot)
            assert "◫ 1 paused" in text
            assert "Leave (the run stays paused)" in text
            assert "training" not in text
            await pilot.press("q")
    assert "r stays paused" in app.farewell


@pytest.mark.parametrize("state", ["starting", "created"])
async def test_a_run_that_has_just_been_launched_opens_on_its_charts(root: Path, state: str) -> None:
    """Its process is not there yet, so it looks as dead as a crashed one."""
    run = lay(root, "r", state=state, steps=0, total=100)
    with run.metrics_file.open("w"):  # as a trainer has it that has no lock yet
        async with watching(run, (80, 24)) as (app, _):
            assert not app.screen.query_one("#body").has_class("-text")


async def test_a_run_whose_folder_is_deleted_is_said_to_be_gone_and_cannot_be_resumed(root: Path) -> None:
    run = lay(root, "r", steps=50)
    async with watching(run) as (app, pilot):
        assert "Resume" in await seen(pilot)
        shutil.rmtree(run.path)
        text = await see(app, pilot)
        assert "gone: its folder was deleted or moved" in text
        assert "Resume" not in text
        assert "step 50" in text


@pytest.mark.slow
async def test_every_gpu_is_told_with_memory_power_and_temperature(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gpus = tuple(meters.Gpu("H", 0.5, 70 * GIB, 80 * GIB, 412.0, 60.0 + index) for index in range(3))
    monkeypatch.setattr(SteadyMeters, "read", lambda self, pid=0: replace(METERS, gpus=gpus))
    run = lay(root, "r", steps=50)
    async with watching(run, (200, 60)) as (_, pilot):
        text = await seen(pilot)
        assert "50%, 70.0 GiB of 80.0 GiB, 412 W, 60 °C" in text and "gpu 2" in text and "62 °C" in text
        await pilot.resize_terminal(120, 34)
        line = next(line for line in (await seen(pilot)).splitlines() if line.startswith(" cpu"))
        assert "50% 70.0 GiB 412 W 60 °C" in line and len(line) <= 120
        await pilot.resize_terminal(80, 24)
        await pilot.press("t")
        assert "412 W" in await seen(pilot)
        await pilot.resize_terminal(60, 20)
        assert (await seen(pilot)).count("INFO step") >= 3  # a low terminal leaves room for the log
