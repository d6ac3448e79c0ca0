"""Keys of the list of runs."""

from __future__ import annotations

from nanoconsole.tui.keys.key import Key

TABLE: tuple[Key, ...] = (
    Key("runs", "enter", "enter", "open", "Open", "Open the run under the cursor in Live.", 1),
    Key("runs", "l", "l", "app.show('launch')", "Launch", "Choose a preset, change it, launch it.", 2),
    Key("runs", "p", "p", "pause", "Pause", "Pause the run, or let a paused one go on.", 3),
    Key("runs", "k", "k", "checkpoint", "Save", "Save a checkpoint now.", 5),
    Key("runs", "S", "S", "stop", "Stop", "Stop the run: four ways, explained before you choose.", 4),
    Key("runs", "r", "r", "resume", "Resume", "Continue a stopped or crashed run from its newest checkpoint.", 6),
)
