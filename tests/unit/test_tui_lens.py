"""Zoom, range and cursor: arithmetic on what is shown."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nanoconsole.services.history import History
from nanoconsole.tui import lens
from nanoconsole.tui.widgets.chart_spec import View

WHOLE = (0.0, 1000.0)
MOVES = st.lists(st.sampled_from(["closer", "farther", "left", "right", "end", "home"]), max_size=30)


@given(MOVES, st.floats(0, 1000))
def test_whatever_is_pressed_the_range_lies_within_the_run(moves: list[str], around: float) -> None:
    view = View()
    for move in moves:
        if move in ("closer", "farther"):
            view = lens.zoomed(view, WHOLE, 0.5 if move == "closer" else 2.0, around, lens.least(WHOLE, 1000))
        else:
            share = {"left": -0.25, "right": 0.25, "end": float("inf"), "home": -float("inf")}[move]
            view = lens.panned(view, WHOLE, share)
        start, stop = view.span or WHOLE
        assert 0 <= start < stop <= 1000 + 1e-9
        assert stop - start >= 3.999


def test_zoom_keeps_what_is_under_the_mouse_where_it_is() -> None:
    view = lens.zoomed(View(), WHOLE, 0.5, 250.0, 4.0)
    assert view.span == (125.0, 625.0)  # a quarter from the left, as before
    assert lens.zoomed(view, WHOLE, 2.0, 250.0, 4.0).span is None


def test_the_newest_is_in_sight_again() -> None:
    view = lens.panned(lens.zoomed(View(), WHOLE, 0.25, 1000.0, 4.0), WHOLE, -0.25)
    assert not lens.at_end(view, WHOLE)
    assert lens.newest(view, WHOLE).span == (750.0, 1000.0)
    assert lens.newest(View(), WHOLE) == View()


def test_the_cursor_goes_from_point_to_point_and_stays_at_the_ends() -> None:
    history = History()
    history.add([{"step": step, "a": 1.0} for step in (0, 1, 2, 50, 1000)])
    at, seen = View(cursor=0.0), []
    for _ in range(6):
        found = lens.neighbour(history, ["missing", "a"], at, 1000, 1)
        assert found is not None
        at = lens.with_cursor(at, WHOLE, found)
        seen.append(found)
    assert seen == [1.0, 2.0, 50.0, 1000.0, 1000.0, 1000.0]
    assert lens.neighbour(history, ["a"], View(cursor=1000.0), 1000, -1) == 50.0
    assert lens.neighbour(history, ["missing"], at, 100, 1) is None


def test_a_cursor_out_of_sight_brings_its_range_along() -> None:
    assert lens.with_cursor(View(span=(0.0, 100.0)), WHOLE, 500.0).span == (450.0, 550.0)
    assert lens.with_cursor(View(span=(0.0, 100.0)), WHOLE, 50.0).span == (0.0, 100.0)
