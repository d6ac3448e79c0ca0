"""What keeps the screens quick, by the work that is done and never by the clock."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from textual.css.parse import parse
from textual.css.stylesheet import Stylesheet

from nanoconsole.tui.widgets.chart import Chart
from tests.tui import quick
from tests.tui.scenes import console, lay, look, seen
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
        before = list(chart._strips)
        append(run, step=201, **{"loss/ce": 2.0})
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
