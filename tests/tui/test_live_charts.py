"""Looking closer in Live: zoom, range, cursor, outliers, marks, the mouse, other characters."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from textual.pilot import Pilot

from nanoconsole.tui.widgets.chart import Chart
from nanocore.runs.layout import RunFolder
from nanocore.runs.records import RecordWriter
from tests.tui.scenes import at_work, lay, seen
from tests.tui.test_live_screen import append, see, watching
from tests.tui.test_runs_screen import commands


def ticks(text: str) -> list[str]:
    """The labels under the first x axis."""
    line = next(line for line in text.splitlines() if " steps" in line and "─" not in line)
    return re.findall(r"[\d,.k]+", line[: len(line) // 2].partition("×")[0])


def step_marks(text: str) -> str:
    """The ruled line of the first chart."""
    return next(line for line in text.splitlines() if "└" in line)[:50]


async def pressed(pilot: Pilot[None], *keys: str) -> str:
    await pilot.press(*keys)
    return await seen(pilot)


async def test_zoom_keeps_the_newest_in_sight_and_zero_shows_all_again(root: Path) -> None:
    async with watching(lay(root, "r", steps=200)) as (_, pilot):
        first = await seen(pilot)
        assert ticks(first)[0] == "50"
        closer = await pressed(pilot, "plus")
        assert "×2 steps" in closer
        assert ticks(closer) == ["120", "140", "160", "180"] or int(ticks(closer)[0]) > 100
        assert "×4 steps" in await pressed(pilot, "equals_sign")
        assert "×2 steps" in await pressed(pilot, "minus")
        assert await pressed(pilot, "0") == first
        assert await pressed(pilot, "minus") == first  # there is no more than all


async def test_a_range_is_moved_and_follows_the_run_only_at_its_end(root: Path) -> None:
    run = lay(root, "r", steps=200)
    async with watching(run) as (app, pilot):
        end = await pressed(pilot, "plus", "plus")
        moved = await pressed(pilot, "left")
        assert int(ticks(moved)[0]) < int(ticks(end)[0])
        assert await pressed(pilot, "right") == end
        assert ticks(await pressed(pilot, "h")) == ticks(await pressed(pilot, "l", "shift+left"))
        append(run, step=300, **{"loss/ce": 2.0})
        stays = await see(app, pilot)
        assert ticks(stays) == ticks(moved)
        follows = await pressed(pilot, "f")
        assert int(ticks(follows)[-1].replace(",", "")) > 250
        append(run, step=400, **{"loss/ce": 2.0})
        assert int(ticks(await see(app, pilot))[-1]) > 350
        assert int(ticks(await pressed(pilot, "home"))[0]) == 20
        assert await pressed(pilot, "end", "shift+right")


async def test_without_a_range_or_a_cursor_arrows_say_what_to_press(root: Path) -> None:
    async with watching(lay(root, "r", steps=20), (140, 30)) as (_, pilot):
        assert "zoom in (+) to move the range, or inspect (i)" in await pressed(pilot, "left")
        assert "zoom in (+) to move the range" in await pressed(pilot, "l")


async def test_the_cursor_shows_in_every_chart_what_was_recorded_there(root: Path) -> None:
    run = lay(root, "r", steps=200)
    append(run, step=201, **{"loss/ce": 1.2345678, "training/grad_norm": 0.7654321})
    async with watching(run, (120, 34)) as (_, pilot):
        before = await seen(pilot)
        text = await pressed(pilot, "i")
        assert "train 1.23457" in text and "0.765432" in text and " 201 " in text
        assert "@200" in text  # throughput was last recorded there
        text = await pressed(pilot, "left", "left")
        assert "1.23457" not in text and "│" in text
        assert "train 1.23457" in await pressed(pilot, "end")
        assert " 1 " in await pressed(pilot, "home")
        assert await pressed(pilot, "escape") == before
        await pilot.press("i")
        assert await pressed(pilot, "i") == before


async def test_the_cursor_is_carried_to_other_axes_and_into_a_range(root: Path) -> None:
    async with watching(lay(root, "r", steps=200), (120, 34)) as (app, pilot):
        await pilot.press("i", *["left"] * 30, "plus", "plus")
        view = app.screen.view  # type: ignore[attr-defined]
        assert view.cursor is not None and view.span[0] <= view.cursor <= view.span[1]
        await pilot.press("x")
        tokens = app.screen.view  # type: ignore[attr-defined]
        assert tokens.cursor == view.cursor * 4096
        assert abs(tokens.span[0] - view.span[0] * 4096) <= 2048
        await pilot.press("x", "x")
        assert app.screen.view.cursor == view.cursor  # type: ignore[attr-defined]
        await pilot.press("escape", "escape")
        assert app.screen.view.span is app.screen.view.cursor is None  # type: ignore[attr-defined]


async def test_the_mouse_sets_the_cursor_and_its_wheel_zooms_there(root: Path) -> None:
    async with watching(lay(root, "r", steps=200), (120, 34)) as (app, pilot):
        chart = app.screen.query_one("#chart-gradient", Chart)
        await pilot.mouse_down(chart, offset=(30, 4))
        text = await seen(pilot)
        assert chart.has_class("-current")
        cursor = app.screen.view.cursor  # type: ignore[attr-defined]
        assert 70 < cursor < 110
        assert f" {cursor:.0f} " in text
        await pilot.hover(chart, offset=(40, 4))
        await pilot.mouse_up(chart, offset=(40, 4))
        chart.post_message(_wheel(chart, 40, up=True))
        text = await seen(pilot)
        assert "×2 steps" in text
        span = app.screen.view.span  # type: ignore[attr-defined]
        assert span[0] > 1 and span[1] < 200
        chart.post_message(_wheel(chart, 40, up=False))
        assert "×" not in await seen(pilot)


def _wheel(chart: Chart, x: int, *, up: bool):
    from textual import events

    kind = events.MouseScrollUp if up else events.MouseScrollDown
    return kind(chart, x, 4, 0, 0, 0, False, False, False, chart.region.x + x, chart.region.y + 4)


async def test_outliers_may_be_left_out_but_never_silently(root: Path) -> None:
    run = lay(root, "r", steps=100)
    append(run, step=101, **{"training/grad_norm": 5000.0})
    append(run, step=102, **{"training/grad_norm": 0.5})
    async with watching(run, (140, 34)) as (_, pilot):
        before = await seen(pilot)
        assert "4,000" in before or "4000" in before or "5k" in before or "4k" in before
        text = await pressed(pilot, "o")
        assert "1 point above range" in text
        assert "1 point above range" not in await pressed(pilot, "o")


async def test_checkpoints_fires_resumes_and_warnings_are_marked_on_the_axis(root: Path) -> None:
    run = lay(root, "r", steps=200)
    writer = RecordWriter(run.events_file)
    for event in (
        {"kind": "checkpoint", "step": 50, "attempt": 1},
        {"kind": "checkpoint", "step": 190, "attempt": 1},  # taken back by the resume
        {"kind": "resumed", "step": 100, "attempt": 2, "from_step": 100},
        {"kind": "fire", "step": 120, "attempt": 2, "error": 0.1},
        {"kind": "warning", "step": 150, "attempt": 2, "message": "low \x1b[2J disk"},
    ):
        writer.write(event)
    writer.close()
    async with watching(run, (120, 34)) as (app, pilot):
        line = step_marks(await seen(pilot))
        assert [mark for mark in line if mark in "◇▷☆△"] == ["◇", "▷", "☆", "△"]
        app.screen.show_step(150)  # type: ignore[attr-defined]
        assert "△ low ␛[2J disk" in await pressed(pilot, "z")


@pytest.mark.slow
async def test_a_terminal_without_braille_gets_half_blocks_or_ascii(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = lay(root, "r", steps=50)
    monkeypatch.setenv("NANOCONSOLE_GLYPHS", "ascii")
    async with watching(run, (100, 30)) as (app, _):
        text = "\n".join(app.screen.query_one(Chart)._strips[row].text for row in range(8))
        assert text.isascii()
        assert "'" in text or "." in text
    monkeypatch.delenv("NANOCONSOLE_GLYPHS")
    monkeypatch.setenv("TERM", "linux")
    async with watching(run, (100, 30)) as (app, _):
        text = "\n".join(app.screen.query_one(Chart)._strips[row].text for row in range(8))
        assert "▀" in text or "▄" in text
        assert not re.search("[\u2800-\u28ff]", text)


async def test_a_sample_can_be_asked_for(root: Path) -> None:
    run = lay(root, "busy", state="running", steps=5)
    with at_work(run):
        async with watching(run) as (app, pilot):
            await pilot.press("a")
            await app.workers.wait_for_complete()
            assert commands(run) == ["sample"]
            assert "busy writes a sample after this step" in await seen(pilot)


async def test_more_charts_take_turns_in_the_third_place(root: Path) -> None:
    run = lay(root, "r", steps=40)
    append(run, step=41, **{"training/lr/matrix": 0.02, "training/lr/head": 0.001, "time/step": 0.25, "x/y": 1.0})
    async with watching(run, (120, 34)) as (_, pilot):
        titles = [re.search(r"^ (mHC|learning rate|held-out|time of a step|\w+)", _third(await seen(pilot)))]
        for _ in range(4):
            titles.append(
                re.search(r"^ (mHC|learning rate|held-out|time of a step|\w+)", _third(await pressed(pilot, "m")))
            )
        assert [found and found.group(1) for found in titles] == [
            "mHC",
            "learning rate",
            "held-out",
            "time of a step",
            "mHC",
        ]


def _third(text: str) -> str:
    """The title of the chart in the third place."""
    lines = text.splitlines()
    return lines[next(index for index, line in enumerate(lines) if " steps" in line and "─" not in line) + 1]


async def test_a_closed_cursor_says_nothing_of_a_run_without_records(root: Path) -> None:
    run: RunFolder = lay(root, "r", steps=0)
    run.metrics_file.write_text("")
    async with watching(run) as (app, pilot):
        await pilot.press("t")
        for key in ("i", "left", "plus", "minus", "h", "end", "f", "o", "x", "y"):
            await pilot.press(key)
        assert app.screen.view.cursor is app.screen.view.span is None  # type: ignore[attr-defined]


async def test_four_learning_rates_are_named_in_80_columns(root: Path) -> None:
    run = lay(root, "r", steps=40)
    append(run, step=41, **{f"training/lr/{name}": 0.000593 for name in ("embedding", "head", "matrix", "norm")})
    async with watching(run, (80, 24)) as (_, pilot):
        text = await pressed(pilot, "m")
        assert " rate  ● embed 5.93e-04 ▲ head 5.93e-04 ▼ matrix 5.93e-04 ■ norm 5.93e-04" in text
