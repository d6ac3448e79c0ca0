"""Keys of Chat, its line and its dialogs."""

from __future__ import annotations

from nanoconsole.tui.keys.key import Key

TABLE: tuple[Key, ...] = (
    Key("chat", "i,enter", "i", "write", "Write", "Go to the line in which you write.", 1),
    Key("chat", "x", "x", "stop", "Stop", "End the reply that is being written.", 2),
    Key("chat", "m", "m", "model(0)", "Model", "Choose the model: a checkpoint of a run, or a GGUF file.", 3),
    Key("chat", "b", "b", "model(1)", "Beside", "Choose a second model that hears the same, or none.", 4),
    Key("chat", "t", "t", "settings", "Settings", "Temperature, top-k, seed, length, and what stands before turns.", 5),
    Key("chat", "n", "n", "clear", "New", "Forget what was said and begin anew; the model stays loaded.", 6),
    Key("chat", "u", "u", "unload", "Unload", "End the model's process and give its memory back.", 7),
    Key("chat", "up", "↑", "scroll(-1)", "", "Scroll up."),
    Key("chat", "down", "↓", "scroll(1)", "", "Scroll down."),
    Key("chat", "pageup", "PgUp", "scroll(-10)", "", "Scroll ten lines up."),
    Key("chat", "pagedown", "PgDn", "scroll(10)", "", "Scroll ten lines down."),
    Key("chat", "end", "End", "scroll(100000)", "", "Go to the newest line."),
    Key("say", "enter", "enter", "submit", "Say", "Say what is typed to the model, or to both.", 1),
    Key("say", "ctrl+g", "^g", "stop", "Stop", "End the reply that is being written.", 2),
    Key("say", "escape", "esc", "app.step_out", "Leave the line", "Leave the line; what is typed stays.", 3),
    Key("chat settings", "enter", "enter", "keep", "Keep", "Keep what is typed; the next line is said with it.", 1),
    Key("chat settings", "tab", "tab", "app.focus_next", "Next line", "Go to the next line.", 2),
    Key("chat settings", "escape", "esc", "dismiss", "Cancel", "Close the dialog and change nothing.", 3),
)  # fmt: skip
