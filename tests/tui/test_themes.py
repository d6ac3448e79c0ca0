"""Every theme can be read: contrast by the formula of WCAG 2, for text 4.5, for lines and marks 3."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.theme import Theme

from nanoconsole.services.settings_schema import THEMES as NAMES
from nanoconsole.tui.theme import ANSI, THEMES
from tests.tui.scenes import console, lay, look, seen

OWN = [theme for theme in THEMES if theme is not ANSI]  # of the terminal's own colours nothing is known
TEXT = ("foreground", "primary", "accent", "success", "warning", "error", "axis", "value")
GROUNDS = ("background", "surface", "panel", "block-cursor-blurred-background")
MARKS = ("line-1", "line-2", "line-3", "line-4", "envelope")


def colour(theme: Theme, name: str) -> str:
    return theme.variables.get(name) or getattr(theme, name)


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, two: str) -> float:
    low, high = sorted((luminance(one), luminance(two)))
    return (high + 0.05) / (low + 0.05)


def test_the_formula_knows_its_ends() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_the_settings_offer_the_themes_there_are() -> None:
    assert tuple(theme.name for theme in THEMES) == NAMES


@pytest.mark.parametrize("theme", OWN, ids=lambda theme: theme.name)
def test_text_stands_out_from_every_ground(theme: Theme) -> None:
    pairs = [(text, ground) for text in TEXT for ground in GROUNDS]
    pairs += [
        ("background", "primary"),
        ("block-cursor-foreground", "block-cursor-background"),
        ("background", "accent"),
    ]
    weak = {pair: contrast(colour(theme, pair[0]), colour(theme, pair[1])) for pair in pairs}
    assert {pair: round(ratio, 2) for pair, ratio in weak.items() if ratio < 4.5} == {}


@pytest.mark.parametrize("theme", OWN, ids=lambda theme: theme.name)
def test_lines_and_marks_stand_out_from_the_ground(theme: Theme) -> None:
    weak = {name: contrast(colour(theme, name), colour(theme, "background")) for name in MARKS}
    assert {name: round(ratio, 2) for name, ratio in weak.items() if ratio < 3} == {}


@pytest.mark.parametrize("theme", OWN, ids=lambda theme: theme.name)
def test_lines_of_a_chart_differ_in_lightness_too(theme: Theme) -> None:
    """Whoever sees no colours still tells the first two lines, and both from the envelope."""
    shades = [luminance(colour(theme, name)) for name in ("line-1", "line-2", "envelope")]
    assert min(abs(a - b) for i, a in enumerate(shades) for b in shades[i + 1 :]) > 0.02


@pytest.mark.parametrize(
    ("keys", "shown"), [("1", "done"), ("1,space,C", "done"), ("2,tab,down", "mhc.streams"), ("1,comma", "theme")]
)
async def test_with_the_terminals_own_colours_the_cursor_gives_no_text_a_coloured_ground(
    keys: str, shown: str, root: Path
) -> None:
    """A coloured text on a coloured ground could be any two of the sixteen colours: no contrast is sure."""
    lay(root, "done", steps=30)
    app = console(root)
    async with app.run_test(size=(120, 30)) as pilot:
        look(app)
        app.change_setting("theme", "nano-ansi")
        await seen(pilot)
        await pilot.press(*keys.split(","))
        await seen(pilot)
        segments = [segment for strip in app.screen._compositor.render_strips() for segment in strip]
        cursor = [each.style for each in segments if shown in each.text and each.style]
        cursor = [style for style in cursor if style.reverse or style.underline]
        assert cursor and {style.bgcolor.name for style in cursor if style.bgcolor} <= {"default"}


@pytest.mark.parametrize("mode", ["1", "3"])
async def test_screens_that_draw_their_own_lines_do_so_in_every_theme(mode: str, root: Path) -> None:
    lay(root, "done", steps=30)
    app = console(root)
    async with app.run_test(size=(100, 30)) as pilot:
        look(app)
        await pilot.press(mode)
        look(app)
        for name in NAMES:
            app.change_setting("theme", name)
            assert "Help" in await seen(pilot)
            assert app.theme == name
        await app.workers.wait_for_complete()
