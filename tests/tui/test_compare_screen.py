"""Compare: chosen runs over one axis, their values at the cursor, a baseline, and what differs between them."""

from __future__ import annotations

from pathlib import Path

import pytest

from nanoconsole.services.comparison import Row
from nanoconsole.tui.app import ConsoleApp
from nanoconsole.tui.screens.compare import CompareScreen
from nanoconsole.tui.widgets.chart import Chart
from nanoconsole.tui.widgets.compared_rows import ComparedRows, Shown, _cells
from nanocore.config.schema import Config
from nanocore.config.toml import save
from nanocore.runs.layout import RunFolder
from nanocore.runs.records import RecordWriter
from tests.tui.scenes import at_work, console, lay, look, records, screen_text, seen
from tests.tui.test_golden import SLOW, check


@pytest.fixture
def three(root: Path) -> list[RunFolder]:
    """A finished run with free maps, one that trains with mHC, and one of another learning rate."""
    free = _trained(root, "free-hc-0001", 240, 7, 30, {"mhc": {"streams": 4, "kind": "unconstrained"}})
    live = _trained(root, "mhc-0002", 120, 8, 20, {"mhc": {"streams": 4}}, state="running")
    other = _trained(root, "mhc-0003", 180, 9, 10, {"mhc": {"streams": 4}, "optimizer": {"matrix_lr": 0.05}})
    return [free, live, other]


def _trained(
    root: Path, name: str, steps: int, seed: int, age: float, table: dict, state: str = "finished"
) -> RunFolder:
    run = lay(root, name, steps=steps, age=age, state=state)
    run.metrics_file.unlink()
    writer = RecordWriter(run.metrics_file)
    for record in records(steps, seed=seed):
        writer.write(record)
    writer.close()
    save(Config.model_validate(table), run.config_file)
    return run


async def compare(pilot) -> str:
    """Read what the follower and the worker would, and show it."""
    app: ConsoleApp = pilot.app
    await pilot.pause()
    while app.follower.poll_beside():
        pass
    await app.workers.wait_for_complete()
    return await seen(pilot)


async def chosen(pilot, *keys: str) -> str:
    """Choose all runs in Runs, the first as baseline, and compare them."""
    look(pilot.app)
    await pilot.pause()
    await pilot.press("A", "b", "C")
    text = await compare(pilot)
    for key in keys:
        await pilot.press(key)
    return await seen(pilot) if keys else text


async def test_selected_runs_are_overlaid_and_compared_at_their_last_common_step(
    root: Path, three: list[RunFolder]
) -> None:
    app = console(root)
    with at_work(three[1]):
        async with app.run_test(size=(120, 34)) as pilot:
            text = await chosen(pilot)
            assert isinstance(app.screen, CompareScreen)
            assert app.screen._overlay.runs == (three[2], three[1], three[0])
            assert "step 120, common" in text
            ended, working = (
                next(line for line in text.splitlines()[-6:] if name in line) for name in ("◆mhc-0003 ", " mhc-0002 ")
            )
            assert "baseline" in ended and "✓ finished" in ended and " 180 " in ended
            assert "● running" in working and " 120 " in working


async def test_a_run_that_trains_grows_in_the_comparison(root: Path, three: list[RunFolder]) -> None:
    app = console(root)
    with at_work(three[1]):
        async with app.run_test(size=(120, 34)) as pilot:
            await chosen(pilot)
            writer = RecordWriter(three[1].metrics_file)
            for record in records(150, seed=8)[120:]:
                writer.write(record)
            writer.close()
            assert "step 150, common" in await compare(pilot)


async def test_the_cursor_shows_values_and_differences_there(root: Path, three: list[RunFolder]) -> None:
    app = console(root)
    async with app.run_test(size=(120, 34)) as pilot:
        text = await chosen(pilot, "i", "home")
        assert "step 1 " in text
        values = [row.row for row in app.screen.query_one(ComparedRows)._rows]
        first = [float(records(1, seed=seed)[0]["loss/ce"]) for seed in (9, 8, 7)]  # type: ignore[arg-type]
        assert [row.value for row in values] == pytest.approx(first)
        assert [row.difference for row in values[1:]] == pytest.approx([first[1] - first[0], first[2] - first[0]])
        await pilot.press("end")
        assert [row.row.value is None for row in app.screen.query_one(ComparedRows)._rows] == [True, True, False]
        await pilot.press("escape")
        text = await seen(pilot)
        assert "step 120, common" in text and "at cursor" not in text


def test_bytes_are_compared_in_the_units_of_the_chart() -> None:
    finals: dict[str, float | None] = dict.fromkeys(("loss/ce", "eval/bits_per_byte", "throughput/tokens_per_sec"))
    row = Row(9.0, 5 * 2.0**20, 2.0**19, 6 * 2.0**20, 4 * 2.0**20, 1, 9, 1.0, finals)
    cells = _cells(Shown("r", "finished", "●", "line-1", row, baseline=False), "bytes")
    assert [cells[key] for key in ("value", "difference", "newest", "best")] == [
        "5.00 MiB",
        "+512 KiB",
        "6.00 MiB",
        "4.00 MiB",
    ]


async def test_metric_axis_scale_and_smoothing_change_by_key(root: Path, three: list[RunFolder]) -> None:
    app = console(root)
    async with app.run_test(size=(120, 34)) as pilot:
        await chosen(pilot, "m")
        assert app.screen.query_one(Chart).spec.title == "eval/ce"
        await pilot.press("M", "M")
        assert app.screen.query_one(Chart).spec.title not in ("eval/ce", "loss/ce")
        assert "tokens, common" in await _after(pilot, "x")
        assert "after 30s, common" in await _after(pilot, "x")
        await pilot.press("y", "s", "o", "plus", "0", "minus")
        view = app.screen.query_one(Chart).view
        assert (view.log, view.smoothing, view.robust, view.span) == (True, 0.9, True, None)


async def test_range_and_cursor_go_along_to_another_axis(root: Path, three: list[RunFolder]) -> None:
    app = console(root)
    async with app.run_test(size=(120, 34)) as pilot:
        await chosen(pilot, "i", "plus", "plus")
        before = app.screen.query_one(Chart).view
        await pilot.press("x")
        after = app.screen.query_one(Chart).view
        assert before.span is not None and after.span is not None and before.cursor is not None
        assert after.axis == "tokens"
        assert after.cursor == pytest.approx(before.cursor * 4096)  # tokens of a step in these runs
        assert after.span == pytest.approx([end * 4096 for end in before.span], abs=4096)
        await pilot.press("x", "x")
        assert app.screen.query_one(Chart).view.span == pytest.approx(before.span, abs=1)


async def _after(pilot, key: str) -> str:
    await pilot.press(key)
    return await seen(pilot)


async def test_another_baseline_and_none(root: Path, three: list[RunFolder]) -> None:
    app = console(root)
    async with app.run_test(size=(120, 34)) as pilot:
        await chosen(pilot, "down", "b")
        assert app.choice.baseline == three[1]
        assert [row.baseline for row in app.screen.query_one(ComparedRows)._rows] == [False, True, False]
        await pilot.press("b")
        assert {row.row.difference for row in app.screen.query_one(ComparedRows)._rows} == {None}


async def test_only_keys_that_differ_are_shown_on_demand_or_beside(root: Path, three: list[RunFolder]) -> None:
    app = console(root)
    async with app.run_test(size=(80, 30)) as pilot:
        text = await chosen(pilot)
        assert "mhc.kind" not in text
        text = await _after(pilot, "d")
        assert "mhc.kind" in text and "unconstrained" in text and "optimizer.matrix_lr" in text
        assert "mhc.streams" not in text
        assert text.count("mhc-0002") == 3  # under each key, and its row
        await pilot.press("escape")
        assert "mhc.kind" not in await seen(pilot)
        await pilot.resize_terminal(160, 34)
        text = await seen(pilot)
        assert "mhc.kind" in text and "┤" in text


async def test_long_differences_are_scrolled_by_key(root: Path, three: list[RunFolder]) -> None:
    app = console(root)
    async with app.run_test(size=(60, 13)) as pilot:
        text = await chosen(pilot, "d")
        assert "mhc.kind" in text and "0.02" not in text
        text = await _after(pilot, "pagedown")
        assert "0.02" in text and "mhc.kind" not in text
        assert "mhc.kind" in await _after(pilot, "pageup")


async def test_more_runs_than_markers_are_told(root: Path) -> None:
    for number in range(9):
        lay(root, f"r{number}", steps=3, age=number)
    app = console(root)
    async with app.run_test(size=(120, 34)) as pilot:
        assert "9 runs are selected; the first 8 are compared" in await chosen(pilot)
        assert len(app.screen.query_one(ComparedRows)._rows) == 8


async def test_a_run_is_taken_out_opened_and_picked_by_the_mouse(root: Path, three: list[RunFolder]) -> None:
    app = console(root)
    async with app.run_test(size=(120, 34)) as pilot:
        lines = (await chosen(pilot)).splitlines()
        row = next(place for place, line in enumerate(lines) if "free-hc-0001 " in line and place > 20)
        await pilot.click(offset=(10, row))
        await pilot.press("D")
        await compare(pilot)
        assert app.screen._overlay.runs == (three[2], three[1])  # type: ignore[attr-defined]
        assert app.choice.runs == [three[2], three[1]]
        await pilot.press("up", "enter")
        assert (app.current_mode, app.opened) == ("live", three[2])


async def test_a_click_in_the_chart_puts_the_cursor_there(root: Path, three: list[RunFolder]) -> None:
    app = console(root)
    async with app.run_test(size=(120, 34)) as pilot:
        await chosen(pilot)
        await pilot.click(Chart, offset=(60, 8))
        cursor = app.screen.query_one(Chart).view.cursor
        assert cursor is not None and 100 < cursor < 130
        await pilot.press("z")
        assert not app.screen.query_one(ComparedRows).display or app.screen.query_one(ComparedRows).size.height == 0
        await pilot.press("escape", "escape", "escape")
        assert app.current_mode in ("compare", "runs")


async def test_hidden_it_reads_nothing(root: Path, three: list[RunFolder]) -> None:
    app = console(root)
    async with app.run_test(size=(120, 34)) as pilot:
        await chosen(pilot, "1")
        assert app.follower._beside is None
        await pilot.press("5")
        await pilot.pause()
        assert app.follower._beside is not None


async def test_without_chosen_runs_it_says_how(root: Path) -> None:
    app = console(root)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("5")
        text = await seen(pilot)
        assert "No runs to compare" in text
        assert "space selects them" in text
        assert "Metric" not in text
        await pilot.press("m", "b", "d", "i", "enter", "D", "escape")
        assert app.current_mode == "runs"


async def test_damaged_and_vanished_runs_are_compared_with_what_is_left(root: Path, three: list[RunFolder]) -> None:
    three[0].metrics_file.write_bytes(
        b"\xff{\n" * 9 + b'{"step": 1, "loss/ce": null, "nonfinite": {"loss/ce": "inf"}, "\\u001b[2J": 2}\n'
    )
    three[2].config_file.write_text("[[")
    app = console(root)
    async with app.run_test(size=(120, 34)) as pilot:
        text = await chosen(pilot)
        assert "inf" in text
        assert "\x1b" not in text
        three[1].path.rename(root / "away")
        look(app)
        assert "gone" in await compare(pilot)


@pytest.mark.parametrize("size", SLOW, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_it_looks_as_it_did(size: tuple[int, int], root: Path, three: list[RunFolder]) -> None:
    _trained(root, "a-run-with-a-rather-long-name-that-goes-on-0001", 60, 3, 60, {})
    app = console(root)
    with at_work(three[1]):
        async with app.run_test(size=size) as pilot:
            await chosen(pilot)
            check(f"compare-{size[0]}x{size[1]}", screen_text(app))
            await pilot.press("d")
            await pilot.pause()
            check(f"compare-config-{size[0]}x{size[1]}", screen_text(app))
