"""Keys of the dialogs that keep runs in order."""

from __future__ import annotations

from nanoconsole.tui.keys.key import Key

TABLE: tuple[Key, ...] = (
    Key("verify", "r", "r", "repair", "Repair", "See what a repair of this run would do.", 1),
    Key("verify", "escape,q,v", "esc", "dismiss", "Close", "Close the list; reading ends with it.", 2),
    Key("repair", "enter", "enter", "choose", "Choose", "Do what stands under the cursor.", 1),
    Key("repair", "escape,q", "esc", "dismiss", "Leave it", "Close the dialog; what was not repaired yet stays as it is.", 2),
    Key("pack", "enter", "enter", "pack", "Export", "Write the archive there.", 1),
    Key("pack", "escape", "esc", "dismiss", "Cancel", "Close the dialog; nothing of an archive stays.", 2),
    Key("unpack", "enter", "enter", "unpack", "Import", "Make a run of the archive.", 1),
    Key("unpack", "tab", "tab", "app.focus_next", "Other line", "Go to the other line.", 2),
    Key("unpack", "escape", "esc", "dismiss", "Cancel", "Close the dialog; nothing of the run stays.", 3),
)  # fmt: skip
