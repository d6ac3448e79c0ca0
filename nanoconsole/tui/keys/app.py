"""Keys that every screen has."""

from __future__ import annotations

from nanoconsole.tui.keys.key import Key
from nanoconsole.tui.modes import MODES

TABLE: tuple[Key, ...] = (
    *(Key("app", mode.number, mode.number, f"show('{mode.name}')", mode.label, mode.help) for mode in MODES),
    Key("app", "escape", "esc", "step_out", "Back", "Step out: close a dialog, leave a field, go back to Runs."),
    Key("app", "question_mark,f1", "?", "help", "Help", "What this screen shows and every key.", 90),
    Key("app", "ctrl+p", "^p", "command_palette", "Commands", "Find any action by its name."),
    Key("app", "exclamation_mark", "!", "alerts", "Alerts", "What went wrong on the runs, and what to do about it."),
    Key("app", "comma", ",", "settings", "Settings", "Colours, refresh, alert rules and all else that can be set."),
    Key("app", "ctrl+o", "^o", "jump", "Jump", "Put a letter on every part of this screen; it takes the focus there."),
    Key(
        "app",
        "P",
        "P",
        "picture",
        "Picture",
        "Save this screen as SVG: in Live with the run, else in your data folder.",
    ),
    Key("app", "", "", "next_theme", "Next theme", "Change the colours: dark, light, colour-blind, contrast, ANSI."),
    Key("app", "q,ctrl+q", "q", "leave", "Leave", "Leave the console. Training goes on.", 99),
)
