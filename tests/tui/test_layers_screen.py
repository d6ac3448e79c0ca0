"""Layers: every key, what a cell says, and what is said when there is nothing or something damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from nanoconsole.services.layer_metrics import LAYER_METRICS
from nanoconsole.services.layers import LayerHistory, edges_of
from nanoconsole.tui.widgets import heat_strips
from nanoconsole.tui.widgets.heat import Scale, paint
from nanoconsole.tui.widgets.heat_strips import HeatStrips
from nanocore.runs.records import RecordWriter
from tests.tui.layer_scenes import lay_layers
from tests.tui.run_scenes import press, showing
from tests.tui.scenes import console, lay, look, seen


def line_with(text: str, words: str) -> str:
    return next(line for line in text.splitlines() if words in line)


async def test_strips_show_what_is_out_of_range_and_what_is_not_finite(root: Path) -> None:
    run = lay(root, "r", steps=5)
    lay_layers(run)
    async with showing(run, "4") as (_, pilot):
        text = await press(pilot)
        assert "mHC gain  1 of 10  ✓ newest values healthy: at most 2" in text
        assert "▲" in line_with(text, "3.feed_forward") and "✕" in line_with(text, "1.attention")
        assert line_with(text, "0.attention").split()[-1] == "1.000"  # the newest value
        assert "1.000 ░░▒▒▓▓██ 2.000  ▲ over 2  ✕ not finite" in text
        assert line_with(text, "step 1 ").split()[-1] == "220"


async def test_the_cursor_tells_a_cell_in_numbers_and_words(root: Path) -> None:
    run = lay(root, "r", steps=5)
    lay_layers(run)
    async with showing(run, "4") as (app, pilot):
        assert "0.attention  step 220  1.000  ✓ healthy" in await press(pilot)
        assert "0.feed_forward  step 200  1.100" in await press(pilot, "down", "left")
        assert "0.feed_forward  step 1  1.000" in await press(pilot, "home")
        assert "0.attention  step 20" in await press(pilot, "right", "up")
        assert "3.feed_forward  step 220" in await press(pilot, "pagedown", "end")
        assert "0.attention  step 220" in await press(pilot, "pageup")
        await pilot.click(HeatStrips, offset=(20, 2))
        assert "1.attention  step 20" in await seen(pilot)
        app.screen.query_one(HeatStrips).on_mouse_scroll_down(None)  # type: ignore[arg-type]
        assert "2.feed_forward" in (await seen(pilot)).splitlines()[-2]


async def test_n_goes_from_fault_to_fault_and_back(root: Path) -> None:
    run = lay(root, "r", steps=5)
    lay_layers(run)
    async with showing(run, "4") as (_, pilot):
        assert "1.attention  step 120  nan  ✗ sick: gain is nan" in await press(pilot, "n")
        above = "3.feed_forward  step 200  4.500  ▲ warning: the product of the residual maps amplifies the signal"
        assert above in await press(pilot, "n")
        assert "1.attention" in (await press(pilot, "N")).splitlines()[-2]
        assert "every cell is healthy" in await press(pilot, "tab", "n")
        assert "every cell is finite; nothing says what is healthy" in await press(pilot, "tab", "n")


async def test_tab_goes_through_the_metrics_and_a_click_chooses_one(root: Path) -> None:
    run = lay(root, "r", steps=5)
    lay_layers(run)
    async with showing(run, "4", (100, 30)) as (_, pilot):
        assert "stream cosine  2 of 10" in await press(pilot, "tab")
        text = await press(pilot, "tab")
        assert "alpha  3 of 10" in text and "0.attention post" in text
        assert "load violation  10 of 10" in await press(pilot, "shift+tab", "shift+tab", "shift+tab")
        await pilot.click("MetricList", offset=(4, 7))
        text = await press(pilot)
        assert "gradient norm  7 of 10" in text and " log  ✕ not finite" in text
        assert "L2 norm of the matrix's gradient before clipping" in text
        assert "expert load" in await press(pilot, "tab", "tab")
        assert "feed_forward.router 4" in await press(pilot)


async def test_enter_opens_the_history_of_the_row_and_escape_closes_it(root: Path) -> None:
    run = lay(root, "r", steps=5)
    lay_layers(run)
    async with showing(run, "4") as (app, pilot):
        strips = await press(pilot)
        text = await press(pilot, "down", "enter")
        assert "mHC gain of 0.feed_forward" in text and "●" in text and "enter Strips" in text
        assert "mHC gain of 1.attention" in await press(pilot, "down")
        assert "✕ 1 non-finite" in await press(pilot)
        assert await press(pilot, "escape", "up", "up") == strips
        await press(pilot, "escape")
        assert app.current_mode == "runs"


async def test_new_measurements_come_and_nothing_else_is_drawn_again(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = lay(root, "r", steps=5)
    lay_layers(run)
    async with showing(run, "4") as (_, pilot):
        painted: list[str] = []
        real = heat_strips.paint
        monkeypatch.setattr(heat_strips, "paint", lambda *a: painted.append("") or real(*a))
        await press(pilot)
        assert painted == []
        writer = RecordWriter(run.layers_file)
        writer.write({"kind": "streams", "name": "blocks.0.attention", "step": 240, "attempt": 1, "gain": 12.0})
        text = await press(pilot)
        assert painted and "✗ 0.attention: the product of the residual maps amplifies the signal" in text
        await press(pilot, "1")
        drawn = len(painted)
        writer.write({"kind": "streams", "name": "blocks.0.attention", "step": 260, "attempt": 1, "gain": 1.0})
        await press(pilot)
        assert len(painted) == drawn  # hidden


async def test_many_rows_and_measurements_scroll_and_share_cells(root: Path) -> None:
    run = lay(root, "r", steps=5)
    lay_layers(run, measurements=60, layers=24)
    async with showing(run, "4", (60, 20)) as (_, pilot):
        assert "1/48" in await press(pilot)
        text = await press(pilot, "pagedown", "pagedown")
        assert "21/48" in text and " 10.attention" in text and " 0.attention" not in text
        assert "newest of " in text


@pytest.mark.parametrize("content", [None, 'garbage\n\x00\n{"kind":"streams","name":"x","step":1,"gain":"[b]"}\n'])
async def test_a_run_without_measurements_says_when_there_will_be_some(content: str | None, root: Path) -> None:
    run = lay(root, "r", steps=5)
    if content is not None:
        run.layers_file.write_text(content)
    async with showing(run, "4") as (_, pilot):
        text = await press(pilot)
        assert "Nothing was measured yet" in text and "logging.layers_every" in text
        assert ("2 lines of layers.jsonl are damaged" in text) == (content is not None and "garbage" in content)
        assert "Metric" not in await press(pilot, "tab", "n", "down", "enter")  # no key does harm


async def test_hostile_names_are_drawn_as_they_are(root: Path) -> None:
    run = lay(root, "r", steps=5)
    name = "blocks.0.[red]\x1b[2J字字" + "x" * 300
    RecordWriter(run.layers_file).write({"kind": "streams", "name": name, "step": 1, "attempt": 1, "gain": 1.0})
    async with showing(run, "4") as (_, pilot):
        text = await press(pilot, "enter")
        assert "\x1b" not in text and "0.[red]␛" in text


async def test_without_any_run_it_says_how_to_get_one(root: Path) -> None:
    app = console(root)
    async with app.run_test(size=(80, 24)) as pilot:
        look(app)
        for number in ("4", "6", "9"):
            text = await press(pilot, number)
            assert "No run is open" in text and "launches a new one" in text


@pytest.mark.parametrize(
    ("gains", "shades"), [((1.0, 1.00001, 1.0), "▓▓▓"), ((1.0, 1.5, 2.0), "░▓█"), ((0.5, 3.0, 1.9), "░▲█")]
)
def test_shades_span_the_healthy_range_and_rounding_is_not_shown(gains: tuple[float, ...], shades: str) -> None:
    history = LayerHistory()
    records = [{"kind": "streams", "name": "x", "step": step, "gain": gain} for step, gain in enumerate(gains)]
    history.add(records)
    metric = LAYER_METRICS[0]
    (cells,) = history.cells(metric, ["x"], edges_of(3, 3))
    scale = Scale.of(metric, history.range(metric))
    assert "".join(mark for mark, _ in paint(cells, metric, scale, [0, 1, 2])) == shades


def test_a_logarithmic_strip_tells_tenths_from_thousandths() -> None:
    metric = next(each for each in LAYER_METRICS if each.key == "update_ratio")
    history = LayerHistory()
    history.add([{"kind": "matrix", "name": "x", "step": step, "update_ratio": 10.0**-step} for step in range(8)])
    (cells,) = history.cells(metric, ["x"], edges_of(8, 8))
    marks = paint(cells, metric, Scale.of(metric, history.range(metric)), list(range(8)))
    assert [style for _, style in marks] == [f"heat{level}" for level in range(7, -1, -1)]
