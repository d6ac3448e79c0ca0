"""What keeps the screens quick, by the work that is done and never by the clock."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from textual.css.parse import parse
from textual.css.stylesheet import Stylesheet

from nanoconsole.tui.widgets.chart import Chart
from nanoconsole.tui.widgets.run_header import RunHeader
from tests.tui import quick
from tests.tui.scenes import at_work, console, lay, look, seen
from tests.tui.test_live_screen import append, see, watching


async def test_a_source_of_styles_is_parsed_once_until_the_colours_change(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: Counter[object] = Counter()

    def counted(scope: str, css: str, read_from: object, **given: object):
        parsed[read_from] += 1
        return parse(scope, css, read_from, **given)  # type: ignore[arg-type]

    monkeypatch.setattr("textual.css.stylesheet.parse", counted)
    monkeypatch.setattr(Stylesheet, "_parse_rules", quick._parse)  # without what the tests keep parsed
    lay(root, "r", steps=5)
    app = console(root)
    async with app.run_test(size=(120, 34)) as pilot:
        look(app)
        await pilot.pause()
        known = len(parsed)
        parsed.clear()
        await pilot.press("enter", "4", "1")
        assert parsed
        assert set(parsed.values()) == {1}
        fresh, before = len(parsed), app.screen.styles.background
        parsed.clear()
        app.theme = "nano-light"
        await pilot.pause()
        assert len(parsed) >= max(known, fresh)
        assert app.screen.styles.background != before


async def test_rows_of_a_chart_that_look_as_before_are_not_painted_again(root: Path) -> None:
    run = lay(root, "r", steps=200)
    async with watching(run) as (app, pilot):
        await seen(pilot)
        chart = app.screen.query(Chart).first()
        append(run, step=201, **{"loss/ce": 2.0})  # the axis makes room for a dot column
        await see(app, pilot)
        before = list(chart._strips)
        append(run, step=202, **{"loss/ce": 2.1})
        await see(app, pilot)
        same = sum(old is new for old, new in zip(before, chart._strips, strict=True))
        assert len(before) / 2 < same < len(before)


async def test_a_key_pressed_as_soon_as_the_row_stands_there_opens_the_run(root: Path) -> None:
    run = lay(root, "r", steps=5)
    app = console(root)
    async with app.run_test(size=(120, 34)) as pilot:
        await pilot.press("enter")  # nothing is listed yet: nothing to open
        assert app.opened is None
        app.follower.poll_list()
        await pilot.press("enter")
        assert app.opened == run
        assert app.current_mode == "live"


async def test_words_in_as_many_lines_do_not_lay_out_the_screen_and_lines_that_stay_are_not_drawn(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = lay(root, "r", state="running", steps=200)
    with at_work(run):
        async with watching(run, (120, 34)) as (app, pilot):
            await seen(pilot)
            header, asked = app.screen.query_one(RunHeader), []
            refresh = RunHeader.refresh
            monkeypatch.setattr(
                RunHeader,
                "refresh",
                lambda self, *rows, **how: asked.append((rows, how)) or refresh(self, *rows, **how),
            )
            append(run, step=201, **{"loss/ce": 2.0})
            assert "to 201" in await see(app, pilot)  # the verdict has other words
            assert asked
            assert not any(how.get("layout") for _, how in asked)
            before = dict(header._strips)
            append(run, step=202, **{"training/grad_norm": 0.123})  # which the verdict says nothing of
            assert "0.123" in await see(app, pilot)
            last = max(before)
            assert [header._strips[row] is before[row] for row in (1, last)] == [False, True]


def test_what_stays_for_good_is_left_out_of_collections_but_not_in_tests(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen: list[bool] = []
    monkeypatch.setattr("gc.freeze", lambda: frozen.append(True))
    monkeypatch.setattr("gc.set_threshold", lambda *_: None)
    app = console(root)
    app._load_other_screens()
    assert frozen == [True]  # no driver: as in a terminal
    monkeypatch.setattr(type(app), "is_headless", True)
    app._load_other_screens()
    assert frozen == [True]
