"""Keys of the dialogs."""

from __future__ import annotations

from nanoconsole.tui.keys.key import Key

TABLE: tuple[Key, ...] = (
    Key("stop", "enter", "enter", "choose", "Choose", "Do what stands under the cursor.", 1),
    Key("stop", "escape,q", "esc", "dismiss", "Leave it running", "Close the dialog; the run stays as it is.", 2),
    Key("fire", "enter", "enter", "choose", "Choose", "Do what stands under the cursor.", 1),
    Key(
        "fire", "escape,q", "esc", "dismiss", "Leave the weights", "Close the dialog; the weights stay as they are.", 2
    ),
    Key("save preset", "enter", "enter", "next", "Save", "Go to the next line, or save.", 1),
    Key("save preset", "tab", "tab", "app.focus_next", "Other line", "Go to the other line.", 2),
    Key("save preset", "escape", "esc", "dismiss", "Cancel", "Close the dialog and save nothing.", 3),
    Key("alerts", "enter", "enter", "choose", "Open", "Open the run at the alert's step.", 1),
    Key("alerts", "a", "a", "acknowledge", "Acknowledge", "Mark the alert under the cursor as seen.", 2),
    Key("alerts", "A", "A", "acknowledge_all", "All", "Mark all alerts as seen.", 3),
    Key("alerts", "m", "m", "mute", "Mute", "Let this rule say nothing more of this run, or speak again.", 4),
    Key("alerts", "escape,exclamation_mark,q", "esc", "dismiss", "Close", "Close the list.", 5),
    Key("settings", "enter", "enter", "edit", "Change", "Change a switch, or type a value; what is typed is saved.", 1),
    Key("settings", "left", "←→", "choose(-1)", "Choose", "Choose among the allowed values.", 2),
    Key("settings", "right", "→", "choose(1)", "", "The next allowed value."),
    Key("settings", "u", "u", "default", "Default", "Give the setting its default back.", 3),
    Key("settings", "escape", "esc", "cancel", "Close", "Leave the line of text, or close the dialog.", 4),
    Key("jump", "escape,q,ctrl+o", "esc", "dismiss", "Stay here", "Stay where the focus is.", 1),
    Key("help", "escape,question_mark,f1,q", "esc", "dismiss", "Close", "Close the help.", 1),
    Key("help", "a", "a", "all_keys", "All keys", "The keys of all screens and dialogs, in one list.", 2),
    Key("all keys", "escape,a,q", "esc", "dismiss", "Close", "Close the list.", 1),
)
