"""Keys of Layers: its strips, and the history of one of them."""

from __future__ import annotations

from nanoconsole.tui.keys.key import Key

TABLE: tuple[Key, ...] = (
    Key("layers", "enter", "enter", "history", "History", "Show the row under the cursor as a chart, and back.", 1),
    Key("layers", "tab", "tab", "metric(1)", "Metric", "Go to the next metric.", 2),
    Key("layers", "shift+tab", "⇧tab", "metric(-1)", "", "Go to the previous metric."),
    Key("layers", "n", "n", "outside(1)", "Next fault", "Go to the next row with a cell out of range.", 3),
    Key("layers", "N", "N", "outside(-1)", "", "Go to the previous row with a cell out of range."),
    Key("layers", "up", "↑", "row(-1)", "", "The row above."),
    Key("layers", "down", "↓", "row(1)", "", "The row below."),
    Key("layers", "left", "←", "column(-1)", "", "The cell before, which is older."),
    Key("layers", "right", "→", "column(1)", "", "The cell after, which is newer."),
    Key("layers", "pageup", "PgUp", "row(-10)", "", "Ten rows up."),
    Key("layers", "pagedown", "PgDn", "row(10)", "", "Ten rows down."),
    Key("layers", "home", "Home", "column(-100000)", "", "The oldest cell."),
    Key("layers", "end", "End", "column(100000)", "", "The newest cell."),
)
