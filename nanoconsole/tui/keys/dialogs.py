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
    Key("help", "escape,question_mark,f1,q", "esc", "dismiss", "Close", "Close the help.", 1),
)
