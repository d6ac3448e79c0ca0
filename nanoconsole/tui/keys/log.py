"""Keys of Log, the whole log of a run. Its search line has those of any line of text."""

from __future__ import annotations

from nanoconsole.tui.keys.key import Key

TABLE: tuple[Key, ...] = (
    Key("logs", "slash", "/", "search", "Search", "Search for a regular expression.", 1),
    Key("logs", "n", "n", "match(1)", "Next", "Go to the next match.", 2),
    Key("logs", "N", "N", "match(-1)", "", "Go to the match before."),
    Key("logs", "l", "l", "level", "Level", "Show all lines, warnings and worse, or errors only.", 3),
    Key("logs", "f", "f", "follow", "Follow", "Follow the end of the log, or stay where you are.", 4),
    Key("logs", "g", "g", "go", "Go to", "Go to the first line of a step.", 5),
    Key("logs", "up", "↑", "line(-1)", "", "The line above."),
    Key("logs", "down", "↓", "line(1)", "", "The line below."),
    Key("logs", "pageup", "PgUp", "page(-1)", "", "A screen up."),
    Key("logs", "pagedown", "PgDn", "page(1)", "", "A screen down."),
    Key("logs", "home", "Home", "first", "", "The first line."),
    Key("logs", "end", "End", "last", "", "The last line; the log is followed."),
    Key("logs", "left", "←", "sideways(-20)", "", "Scroll to the left."),
    Key("logs", "right", "→", "sideways(20)", "", "Scroll to the right."),
)
