"""Keys of charts, on every screen that has some."""

from __future__ import annotations

from nanoconsole.tui.keys.key import Key

TABLE: tuple[Key, ...] = (
    Key("charts", "z", "z", "zoom", "Enlarge", "Give the whole space to one chart, and back.", 1),
    Key("charts", "tab", "tab", "chart(1)", "Chart", "Go to the next chart.", 2),
    Key("charts", "shift+tab", "⇧tab", "chart(-1)", "", "Go to the previous chart."),
    Key("charts", "i", "i", "inspect", "Inspect", "A cursor in all charts, with exact values; a click sets it.", 3),
    Key(
        "charts", "plus,equals_sign", "+", "closer", "Zoom in", "Half of the range, around the cursor or the newest.", 4
    ),
    Key("charts", "minus", "-", "farther", "Zoom out", "Twice the range; the wheel of the mouse does both."),
    Key("charts", "0", "0", "whole", "All", "Show the whole run again.", 5),
    Key("charts", "left", "←→", "aside(-1)", "Move", "Move the cursor, or the range when it is a part.", 6),
    Key("charts", "right", "→", "aside(1)", "", "Move the cursor or the range to the right."),
    Key("charts", "h,shift+left", "h", "pan(-1)", "", "Move the range to the left, also while inspecting."),
    Key("charts", "l,shift+right", "l", "pan(1)", "", "Move the range to the right, also while inspecting."),
    Key("charts", "home", "Home", "end(-1)", "", "The cursor or the range to the beginning."),
    Key("charts", "end", "End", "end(1)", "", "The cursor or the range to the newest."),
    Key("charts", "f", "f", "newest", "Follow", "Show the newest, and go on with it.", 7),
    Key("charts", "x", "x", "axis", "Axis", "Change the x axis: steps, tokens, time of training.", 8),
    Key("charts", "y", "y", "log_scale", "Log", "Switch the y axes between linear and logarithmic.", 9),
    Key("charts", "s", "s", "smoothing", "Smooth", "Change smoothing: off, EMA 0.6, 0.9, 0.97.", 10),
    Key("charts", "o", "o", "outliers", "Outliers", "Leave outliers out of the range; how many is said.", 11),
)
