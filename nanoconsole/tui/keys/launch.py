"""Keys of Launch: its list of presets, its form, its text, its lines, and its dialogs."""

from __future__ import annotations

from nanoconsole.tui.keys.key import Key

SCREEN: tuple[Key, ...] = (
    Key("presets", "enter", "enter", "select", "Launch", "Launch the preset under the cursor, with your changes.", 1),
    Key("launch", "ctrl+l", "^l", "launch", "Launch", "Launch the configuration shown.", 2),
    Key("launch", "ctrl+s", "^s", "save", "Save", "Save a file in place, or your own preset.", 3),
    Key("launch", "slash", "/", "search", "Search", "Search the form by key or meaning.", 4),
    Key("launch", "tab", "tab", "app.focus_next", "Next pane", "Go to the next pane.", 5),
    Key("launch", "t", "t", "text", "Text", "Show the TOML text beside the form, and edit it; again: hide it.", 6),
    Key("launch", "d", "d", "diff", "Diff", "Everything that differs from the preset, a run or a file.", 7),
    Key("launch", "w", "w", "enqueue", "Queue", "Let it wait for its turn, alone or as a sweep over values.", 8),
    Key("launch", "Q", "Q", "queue", "Waiting", "The queue: order, cancel, what a failure does.", 9),
    Key("launch", "o", "o", "open", "Open", "Edit the configuration of a run, or a TOML file.", 10),
    Key("launch", "r", "r", "resume", "Resume", "Go on with the opened run, with what a resume may change.", 11),
    Key("launch", "", "", "save_as", "Save as", "Save under another name: an own preset, or a file."),
    Key("launch", "", "", "forget", "Drop changes", "Drop all changes, those of the text too."),
)
FORM: tuple[Key, ...] = (
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
)
TEXT: tuple[Key, ...] = (
    Key("value", "enter", "enter", "submit", "Done", "Keep what is typed.", 1),
    Key("value", "escape", "esc", "app.step_out", "Cancel", "Leave the line; an edited value is as it was.", 2),
    Key("source", "escape", "esc", "app.step_out", "Form", "Go back to the form; the text stays.", 1),
    Key("source", "ctrl+n", "^n", "next_fault", "Next fault", "Go to the next line that is refused.", 4),
    Key("source", "ctrl+z", "^z", "undo", "Undo", "Undo the last edit of the text, or of the form.", 5),
    Key("source", "ctrl+y", "^y", "redo", "", "Do again what was undone."),
)
DIALOGS: tuple[Key, ...] = (
    Key("pick", "enter", "enter", "choose", "Choose", "Take what stands under the cursor.", 1),
    Key("pick", "up", "↑↓", "move(-1)", "Move", "Go up the list.", 2),
    Key("pick", "down", "↓", "move(1)", "", "Go down the list."),
    Key("pick", "escape", "esc", "dismiss", "Cancel", "Close the dialog and choose nothing.", 3),
    Key("diff", "enter", "enter", "choose", "Go to it", "Go to the field under the cursor.", 1),
    Key("diff", "u,delete", "u", "undo", "Undo", "Give the value the one of the other side.", 2),
    Key("diff", "c", "c", "against", "Against", "Choose what to compare with: a preset, a run, a file.", 3),
    Key("diff", "escape,d,q", "esc", "dismiss", "Close", "Close the list of differences.", 4),
    Key("enqueue", "ctrl+l", "^l", "queue", "Queue", "Make these runs and let them wait for their turn.", 1),
    Key("enqueue", "tab", "tab", "app.focus_next", "Next line", "Go to the next line.", 2),
    Key("enqueue", "escape", "esc", "dismiss", "Cancel", "Close the dialog and queue nothing.", 3),
    Key("queue", "enter", "enter", "choose", "Watch", "Open the run under the cursor in Live.", 1),
    Key("queue", "K,shift+up", "K", "move(-1)", "Earlier", "Let a waiting run have its turn one place earlier.", 2),
    Key("queue", "J,shift+down", "J", "move(1)", "Later", "Let a waiting run have its turn one place later.", 3),
    Key("queue", "x,delete", "x", "cancel", "Cancel", "Drop a waiting run; stop a running one, saved.", 4),
    Key("queue", "f", "f", "failure", "Failure", "When this run fails: go on with the next, or halt the queue.", 5),
    Key("queue", "plus,equals_sign", "+", "slots(1)", "Slots", "More runs side by side while this one works.", 6),
    Key("queue", "minus", "-", "slots(-1)", "", "Fewer runs side by side while this one works."),
    Key("queue", "s", "s", "start", "Start", "Let a halted queue go on.", 7),
    Key("queue", "h", "h", "halt", "Halt", "Start nothing more; what works goes on.", 8),
    Key("queue", "escape,Q,q", "esc", "dismiss", "Close", "Close the queue; it goes on.", 9),
)
TABLE: tuple[Key, ...] = (*SCREEN, *FORM, *TEXT, *DIALOGS)
