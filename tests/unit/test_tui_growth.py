"""A chart whose run goes on is drawn anew only when that can be seen; its title always tells the newest value."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from nanoconsole.services.history import History
from nanoconsole.tui.widgets.canvas import Canvas
from nanoconsole.tui.widgets.chart_spec import ChartSpec, Line, View
from nanoconsole.tui.widgets.glyphs import BRAILLE
from nanoconsole.tui.widgets.plot import draw
from nanoconsole.tui.widgets.plot_frame import GUTTER, Picture, with_room
from nanoconsole.tui.widgets.plot_growth import retitled

SPEC = ChartSpec("a", "loss", "", (Line("a", "", "", "line1"), Line("held", "held", "h", "line2", "◆")))
WIDTH, HEIGHT = GUTTER + 20, 8
POINTS = 4020  # in 40 dot columns, a hundred points each and some room in the last one


def records(values: Sequence[float], first: int = 1, name: str = "a") -> list[dict[str, object]]:
    return [{"step": first + index, "attempt": 1, name: value} for index, value in enumerate(values)]


def grown(values: Sequence[float], name: str = "a") -> tuple[History, Picture, Canvas | None]:
    """A long history, drawn when the newest column was half full, then some more values."""
    source = History()
    source.add(records([1.0 + step % 2 for step in range(POINTS)]))
    picture = draw(WIDTH, HEIGHT, SPEC, source, View(), (1.0, POINTS + 50.0))
    source.add(records(values, POINTS + 1, name))
    return source, picture, retitled(picture, SPEC, source, View(), (), BRAILLE)


def test_a_value_among_those_drawn_changes_the_title_only() -> None:
    _, picture, now = grown([1.25])
    assert now is not None
    assert now.text().split("\n")[0].endswith(" 1.250")
    assert now.text().split("\n")[1:] == picture.canvas.text().split("\n")[1:]
    assert now.changed(picture.canvas).tolist() == [True, *[False] * (HEIGHT - 1)]


@pytest.mark.parametrize("values", [[2.5], [0.5], [math.nan], [math.inf], [1.5] * 20, [1.5] * 60])
def test_what_could_be_seen_is_drawn(values: list[float]) -> None:
    """Above, below, not finite, a tenth more points in the column, another column."""
    assert grown(values)[2] is None


def test_a_first_point_and_a_measurement_are_drawn() -> None:
    assert grown([1.5], "held")[2] is None


def test_a_chart_whose_axis_went_on_beyond_its_room_is_drawn_though_it_has_no_new_point() -> None:
    source, picture, _ = grown([])
    for step, still in ((POINTS + 50, True), (POINTS + 51, False)):
        source.add([{"step": step, "attempt": 1, "other": 1.0}])
        assert (retitled(picture, SPEC, source, View(), (), BRAILLE) is not None) == still


def test_a_zoomed_chart_and_one_without_outliers_are_drawn() -> None:
    source, picture, _ = grown([1.25])
    for view in (View(span=(1.0, 100.0)), View(robust=True)):
        assert retitled(picture, SPEC, source, view, (), BRAILLE) is None


def test_everything_but_new_points_at_the_end_counts_as_another_epoch() -> None:
    source = History()
    source.add(records([1.0, 2.0], 5))
    before = source.epoch
    source.add(records([1.0], 7))
    assert source.epoch == before
    epochs = [before]
    source.add(records([1.0], 4), older=True)
    epochs.append(source.epoch)
    source.add([{"step": 6, "attempt": 2, "a": 3.0}])  # a resume takes steps back
    epochs.append(source.epoch)
    source.clear()
    epochs.append(source.epoch)
    assert len(set(epochs)) == 4


def test_an_axis_that_grows_leaves_points_in_their_columns_and_room_for_one_more_at_most() -> None:
    span, spans = (0.0, 0.0), []
    for stop in range(4000, 5000):
        span = with_room(span, (1.0, float(stop)), WIDTH)
        spans.append(span)
        assert stop <= span[1] <= stop + (stop - 1) / 40
    assert len(set(spans)) < 12
    assert with_room(span, (1.0, 9000.0), WIDTH) == (1.0, 9000.0)  # it went on by more than that
    assert with_room(span, (0.0, 4999.0), WIDTH) == (0.0, 4999.0)  # older ones came
    few = [with_room((1.0, stop - 1.0), (1.0, float(stop)), WIDTH) for stop in range(10, 40)]
    assert few == [(1.0, float(stop)) for stop in range(10, 40)]  # a column and more for each point: exactly the axis


def test_what_stands_there_after_a_long_time_is_what_would_be_drawn_now() -> None:
    source, values = History(), 1.0 + np.random.default_rng(0).random(POINTS + 300)
    source.add(records(values[:POINTS].tolist()))
    whole, picture, drawings = (0.0, 0.0), None, 0
    for index in range(POINTS, len(values)):
        source.add(records([float(values[index])], index + 1))
        if picture is None or retitled(picture, SPEC, source, View(), (), BRAILLE) is None:
            whole = with_room(whole, source.span("step"), WIDTH)
            picture, drawings = draw(WIDTH, HEIGHT, SPEC, source, View(), whole), drawings + 1
    assert picture is not None
    now = source.curve("a", "step", 0.6, 40, whole)
    assert now is not None
    shown = picture.curves[0][1].buckets
    np.testing.assert_array_equal(shown.low, now.buckets.low)
    np.testing.assert_array_equal(shown.high, now.buckets.high)
    np.testing.assert_allclose(shown.line, now.buckets.line, atol=0.05)
    assert drawings < 150
