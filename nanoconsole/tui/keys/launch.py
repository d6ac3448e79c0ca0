"""Keys of Launch: its list of presets, its form, its lines of text."""

from __future__ import annotations

from nanoconsole.tui.keys.key import Key

TABLE: tuple[Key, ...] = (
    Key("presets", "enter", "enter", "select", "Launch", "Launch the preset under the cursor, with your changes.", 1),
    Key("launch", "ctrl+l", "^l", "launch", "Launch", "Launch the configuration shown.", 2, priority=True),
    Key("launch", "ctrl+s", "^s", "save", "Save", "Save a file in place, or your own preset.", 3, priority=True),
    Key("launch", "slash", "/", "search", "Search", "Search the form by key or meaning.", 4),
    Key("launch", "tab", "tab", "app.focus_next", "Next pane", "Go to the next pane.", 5),
    Key("form", "enter", "enter", "edit", "Edit", "Edit the value under the cursor; a switch changes at once.", 1),
    Key("form", "space", "space", "switch", "Switch", "Change a switch or go to the next choice."),
    Key("form", "left", "←→", "choose(-1)", "Choose", "Choose among the allowed values.", 2),
    Key("form", "right", "→", "choose(1)", "", "The next allowed value."),
    Key("form", "u,delete", "u", "undo", "Undo", "Give the value back the one of the preset.", 3),
    Key("form", "up", "↑", "move(-1)", "", "The field above."),
    Key("form", "down", "↓", "move(1)", "", "The field below."),
    Key("form", "pageup", "PgUp", "move(-10)", "", "Ten fields up."),
    Key("form", "pagedown", "PgDn", "move(10)", "", "Ten fields down."),
    Key("form", "home", "Home", "move(-10000)", "", "The first field."),
    Key("form", "end", "End", "move(10000)", "", "The last field."),
    Key("form", "n", "n", "next_problem", "Next fault", "Go to the next value that is refused."),
    Key("value", "enter", "enter", "submit", "Done", "Keep what is typed.", 1),
    Key("value", "escape", "esc", "app.step_out", "Cancel", "Leave the line; an edited value is as it was.", 2),
)
