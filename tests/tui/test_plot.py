"""Charts as plain text: what is drawn is what was measured."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nanoconsole.services.history import History
from nanoconsole.tui.widgets import braille
from nanoconsole.tui.widgets.chart_spec import ChartSpec, Line, Number, View
from nanoconsole.tui.widgets.plot import GUTTER, draw
from nanoconsole.tui.widgets.ticks import scale_for, x_ticks, y_ticks

SPEC = ChartSpec(
    "loss", "loss", "nats", (Line("a", "train", "tr", "line1"), Line("b", "held-out", "held", "line2", "◆"))
)
RAW = View(smoothing=0.0)


def history(values: list[float], **others: dict[int, float]) -> History:
    """Metric a at steps 1, 2, ..., other metrics at chosen steps."""
    made = History()
    for step, value in enumerate(values, 1):
        record: dict[str, object] = {"step": step, "tokens": step * 1000, "elapsed": float(step)}
        if math.isfinite(value):
            record["a"] = value
        else:
            record |= {"a": None, "nonfinite": {"a": str(value)}}
        record |= {name: points[step] for name, points in others.items() if step in points}
        made.add([record])
    return made


def lines(made: History, view: View = RAW, width: int = 40, height: int = 12, **options: object) -> list[str]:
    return draw(width, height, SPEC, made, view, empty="nothing yet", **options).canvas.text().split("\n")  # type: ignore[arg-type]


def plot_of(text: list[str]) -> list[str]:
    """The braille part of a tall chart."""
    return [line[GUTTER:].ljust(32) for line in text[1:-2]]


def test_dots_become_the_braille_characters_that_unicode_gives_them() -> None:
    mask = braille.blank(2, 1)
    mask[0, 0] = mask[3, 1] = True  # dots 1 and 8 of the first cell
    mask[3, 2] = True  # dot 7 of the second
    assert "".join(map(chr, braille.cells(mask)[0])) == "⢁⡀"


def test_one_spike_among_many_points_reaches_the_top() -> None:
    values = [1.0] * 50_000
    values[31_234] = 9.0
    drawn = plot_of(lines(history(values[:1])))
    assert "".join(drawn).strip()  # a single point is seen too
    made = History()
    made.add([{"step": step + 1, "elapsed": float(step), "a": value} for step, value in enumerate(values)])
    top = plot_of(lines(made))[0]
    columns = [place for place, character in enumerate(top) if character not in " ⠀"]
    assert columns == [int(31_234 / 50_000 * 32)]


def test_a_rising_line_rises_from_corner_to_corner() -> None:
    drawn = plot_of(lines(history([float(value) for value in range(100)])))
    assert drawn[-1][0] not in " ⠀"
    assert drawn[0][-1] not in " ⠀"
    assert drawn[0][0] == drawn[-1][-1] == " "


def test_a_value_that_is_not_finite_is_marked_and_breaks_the_line() -> None:
    text = lines(history([1.0, 1.0, math.nan, math.inf, 1.0, 1.0]))
    assert "✕ 2 non-finite" in text[0]
    drawn = plot_of(text)
    assert drawn[0].count("✕") == 2
    middle = next(line for line in drawn if "⠤" in line or "⠒" in line or "⠉" in line or "⣀" in line)
    gap = middle[drawn[0].index("✕") : drawn[0].rindex("✕") + 1]
    assert not gap.strip(" ⠀")


def test_a_logarithmic_axis_hides_nothing_silently() -> None:
    text = lines(history([0.0, -1.0, 10.0, 100.0, 1000.0]), View(smoothing=0.0, log=True), width=60)
    assert "2 not above 0 hidden" in text[0]
    assert any(line.startswith("   log │") for line in text)
    assert any(line.strip().startswith("100 ┤") for line in text)


def test_sparse_measurements_stand_as_markers_at_their_value() -> None:
    text = lines(history([float(value) for value in range(101)], b={1: 100.0, 101: 0.0}))
    drawn = plot_of(text)
    assert drawn[0][0] == "◆"
    assert drawn[-1][-1] == "◆"
    assert "◆ held-out 0.000" in text[0] or "◆ held 0.000" in text[0]


def test_a_number_stands_beside_with_its_expected_value() -> None:
    spec = ChartSpec(
        "m", "mHC", "", (Line("a", "cosine", "cos", "line1"),), beside=(Number("g", "gain", "1 expected", "1"),)
    )
    made = history([0.5, 0.5], g={2: 1.25})
    title = draw(60, 6, spec, made, RAW).canvas.text().split("\n")[0]
    assert "gain 1.250 (1 expected)" in title


def test_an_empty_chart_says_why() -> None:
    text = lines(History())
    assert any("nothing yet" in line for line in text)


def test_the_axis_names_its_unit_and_ends() -> None:
    made = history([1.0] * 100)
    assert lines(made)[-1].endswith("steps")
    assert lines(made, View(axis="tokens", smoothing=0.0))[-1].endswith("tokens")
    assert "1m" in lines(made, View(axis="time", smoothing=0.0))[-1]
    assert "steps" not in lines(made, ruler=False)[-1]


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize(
    ("low", "high"), [(0.999, 1.001), (1.0, 1.0), (1e-7, 3e4), (5.0, 5.5), (12345.0, 12346.0), (0.97, 0.9701)]
)
def test_no_label_stands_twice_and_every_tick_lies_inside(low: float, high: float, log: bool) -> None:
    scale = scale_for(low, high, log=log)
    for rows in (1, 3, 8, 20):
        ticks = y_ticks(scale, rows)
        labels = [label for _, label in ticks]
        assert len(set(labels)) == len(labels)
        assert all(-0.01 <= scale.place(value) <= 1.01 for value, _ in ticks)
        assert all(len(label) <= GUTTER - 2 for label in labels)
        assert all(abs(meaning(label) - value) <= 0.011 * (high - low or 1) for value, label in ticks)


def meaning(label: str) -> float:
    return float(label.translate({ord("k"): "e3", ord("M"): "e6"}))


def test_ordinary_ranges_get_round_labels() -> None:
    assert [label for _, label in y_ticks(scale_for(1.2, 5.5, log=False), 10)] == ["2", "4"]
    assert [label for _, label in y_ticks(scale_for(0.1, 120.0, log=True), 12)] == ["0.1", "1", "10", "100"]
    assert [label for _, label in y_ticks(scale_for(9500.0, 31_000.0, log=False), 12)] == ["10k", "20k", "30k"]


def test_bytes_have_the_units_that_stand_everywhere_else() -> None:
    made = History()
    made.add([{"step": step, "rss": (400 + 10 * step) * 2**20, "state": 3743744} for step in (1, 2, 20)])
    spec = ChartSpec(
        "memory", "memory", "bytes", (Line("rss", "resident", "", "line1"), Line("state", "optimizer", "", "line2"))
    )
    text = draw(80, 14, spec, made, RAW).canvas.text().splitlines()
    assert "memory MiB" in text[0] and "resident 600 MiB" in text[0] and "optimizer 3.57 MiB" in text[0]
    assert [row[:GUTTER].split()[0] for row in text if "┤" in row] == ["600", "400", "200"]
    at = draw(80, 14, spec, made, View(smoothing=0.0, cursor=2.0)).canvas.text().splitlines()[0]
    assert "resident 420 MiB" in at
    one = 2.0**30
    assert [label for _, label in y_ticks(scale_for(1.2 * one, 5.5 * one, log=False), 10, one)] == ["2", "4"]


def test_steps_and_times_are_marked_at_round_numbers() -> None:
    assert [label for _, label in x_ticks(1, 2000, "step", 50)] == ["500", "1,000", "1,500", "2,000"]
    assert [label for _, label in x_ticks(0, 3600, "time", 50)] == ["0s", "15m", "30m", "45m", "1h"]
    assert [label for _, label in x_ticks(0, 5e6, "tokens", 30)] == ["0", "2.00M", "4.00M"]
    assert [label for _, label in x_ticks(0, 120_000, "tokens", 30)] == ["0", "50.0k", "100k"]


def test_any_size_can_be_drawn() -> None:
    made = history(list(np.linspace(5, 1, 50)), b={10: 4.0})
    for width in range(1, 30, 4):
        for height in range(1, 12):
            canvas = draw(width, height, SPEC, made, View(), empty="e").canvas
            assert len(canvas.text().split("\n")) == height


def test_every_line_is_named_even_where_the_title_needs_a_second_row() -> None:
    names = ("one", "two", "three", "four")
    spec = ChartSpec(
        "m", "many", "", tuple(Line(name, name, name, "line1", mark) for name, mark in zip(names, "●▲▼◆", strict=True))
    )
    made = history([1.0] * 5, **{name: {5: 1.0} for name in names})
    text = draw(40, 12, spec, made, RAW).canvas.text().split("\n")
    assert all(name in text[0] + text[1] for name in names)
    assert text[2][GUTTER - 1] in "│┤"


def test_the_cursor_stands_at_its_x_and_no_label_is_cut_by_its_own() -> None:
    made = history([float(value) for value in range(101)])
    view = View(smoothing=0.0, cursor=58.0)
    text = draw(60, 12, SPEC, made, view).canvas.text().split("\n")
    assert "train 57" in text[0]
    assert "58" in text[-1].split()
    assert "60" not in text[-1].split()  # it would have been cut
    column = text[2].rindex("│")
    assert column == GUTTER + int((58 - 1) / 100 * 52)


def test_a_range_is_filled_to_its_edges_by_sparse_measurements() -> None:
    made = history([1.0] * 101, b={1: 0.0, 101: 100.0})
    spec = ChartSpec("b", "held-out", "", (Line("b", "held-out", "held", "line2", "◆"), Line("a", "a", "a", "line1")))
    drawn = plot_of(draw(60, 14, spec, made, View(smoothing=0.0, span=(40.0, 60.0))).canvas.text().split("\n"))
    assert "◆" not in "".join(drawn)
    middle = drawn[len(drawn) // 2].strip()
    assert middle  # the line from the one to the other goes through


def test_outliers_are_counted_above_and_below_and_drawn_nowhere_inside() -> None:
    values = [1.0 + 0.01 * (step % 7) for step in range(100)] + [900.0, -900.0, -800.0]
    text = lines(history(values), View(smoothing=0.0, robust=True), width=90)
    assert "1 point above range 2 points below range" in text[0]
    labels = [float(line[: GUTTER - 2]) for line in text if "┤" in line]
    assert labels and all(0.8 < label < 1.2 for label in labels)
