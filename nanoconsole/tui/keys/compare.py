"""Keys of Compare."""

from __future__ import annotations

from nanoconsole.tui.keys.key import Key

TABLE: tuple[Key, ...] = (
    Key("compare", "m", "m", "metric(1)", "Metric", "Compare by the next metric that some run recorded.", 1),
    Key("compare", "b", "b", "baseline", "Baseline", "Differences are to the run under the cursor, or to none.", 2),
    Key("compare", "d", "d", "differences", "Config", "Show which keys of the configurations differ, and back.", 3),
    Key("compare", "enter", "enter", "open", "Open", "Open the run under the cursor in Live.", 4),
    Key("compare", "D,delete", "D", "take_out", "Take out", "Compare without the run under the cursor.", 5),
    Key("compare", "M", "M", "metric(-1)", "", "Compare by the metric before."),
    Key("compare", "up", "↑", "row(-1)", "", "The run above."),
    Key("compare", "down", "↓", "row(1)", "", "The run below."),
    Key("compare", "pageup", "PgUp", "scroll(-1)", "", "A page up in the keys that differ."),
    Key("compare", "pagedown", "PgDn", "scroll(1)", "", "A page down in the keys that differ."),
)
