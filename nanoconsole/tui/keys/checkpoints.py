"""Keys of the list of checkpoints, and of its dialogs."""

from __future__ import annotations

from nanoconsole.tui.keys.key import Key

TABLE: tuple[Key, ...] = (
    Key("checkpoints", "enter,c", "enter", "chat", "Chat", "Talk with this checkpoint.", 1),
    Key("checkpoints", "f", "f", "fork", "Fork", "Change the configuration in Launch, and begin a new run from here.", 2),
    Key("checkpoints", "e", "e", "export", "Export", "Write it as a GGUF file or a Hugging Face folder.", 3),
    Key("checkpoints", "r", "r", "resume", "Resume", "Let the run go on from its newest checkpoint; from an earlier one it is forked (f).", 4),
    Key("checkpoints", "D,delete", "D", "delete", "Delete", "Delete it; it asks before. The only good one stays.", 5),
    Key("checkpoints", "escape,K,q", "esc", "dismiss", "Close", "Close the list.", 6),
    Key("export", "enter", "enter", "choose", "Export", "Write it in the form under the cursor.", 1),
    Key("export", "tab", "tab", "app.focus_next", "Path", "Go to the line with the path, and back.", 2),
    Key("export", "escape", "esc", "dismiss", "Cancel", "Close the dialog and write nothing.", 3),
    Key("delete checkpoint", "enter", "enter", "choose", "Choose", "Do what stands under the cursor.", 1),
    Key("delete checkpoint", "escape,q", "esc", "dismiss", "Keep it", "Close the dialog; nothing is deleted.", 2),
)  # fmt: skip
